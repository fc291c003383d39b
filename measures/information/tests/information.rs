//! The family keeps its promises.

use pgdl_measure::{Registry, contract};

#[test]
fn every_measure_keeps_its_promises() {
    let mut registry = Registry::new();
    pgdl_measure_information::register(&mut registry).unwrap();
    let violations = contract::check(&registry).unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}
