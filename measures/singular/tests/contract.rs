//! The promises that every measure makes. All values of the family come from the same chains, which take seconds on each of
//! the contract's networks: `llc` stands for all.

use pgdl_measure::{Registry, contract, tch};

#[test]
fn the_family_keeps_its_promises() {
    tch::set_num_threads(1);
    let mut registry = Registry::new();
    pgdl_measure_singular::register(&mut registry).unwrap();
    let violations = contract::check_one(&registry, "llc").unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}
