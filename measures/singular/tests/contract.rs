//! The promises that every measure makes.

use pgdl_measure::{Registry, contract, tch};

#[test]
fn the_family_keeps_its_promises() {
    tch::set_num_threads(1);
    let mut registry = Registry::new();
    pgdl_measure_singular::register(&mut registry).unwrap();
    let violations = contract::check(&registry).unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}
