//! The family keeps its promises; in parts, so that they are checked side by side.

use pgdl_measure::{Registry, contract};

const PARTS: usize = 3;

fn check(part: usize) {
    let mut registry = Registry::new();
    pgdl_measure_sharpness::register(&mut registry).unwrap();
    let ids = registry.infos().map(|info| info.id).skip(part).step_by(PARTS);
    let violations: Vec<_> = ids.flat_map(|id| contract::check_one(&registry, id).unwrap()).collect();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}

#[test]
fn every_measure_keeps_its_promises() {
    check(0);
}

#[test]
fn every_measure_keeps_its_promises_second_part() {
    check(1);
}

#[test]
fn every_measure_keeps_its_promises_third_part() {
    check(2);
}
