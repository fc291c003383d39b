//! The family keeps the contract of all measures.

use pgdl_measure::{Registry, contract};

#[test]
fn every_margin_measure_keeps_its_promises() {
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    let violations = contract::check(&registry).unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}
