//! The contract that every measure keeps, and golden values.

use my_measure::register;

use pgdl_testkit::{Broken, evaluate, with_outputs};

#[test]
fn the_contract_is_kept() -> Result<(), Broken> {
    pgdl_testkit::check(register)
}

/// By hand: margins 2, 4 and 6 have mean 4 and variance 8/3, so that the value is −4 / √(8/3) = −√6.
#[test]
fn a_golden_value() -> Result<(), Broken> {
    let logits = [[2.0, 0.0], [-1.0, 3.0], [6.0, 0.0]];
    let input = with_outputs(&logits, &[0, 1, 0])?;
    let measured = evaluate(register, "my_measure", input)?;
    let difference = measured.value + 6.0_f64.sqrt();
    assert!(difference.abs() < 1e-12, "{difference}");
    Ok(())
}

#[test]
fn equal_margins_have_no_value() -> Result<(), Broken> {
    let equal = with_outputs(&[[1.0, 0.0], [0.0, 1.0]], &[0, 1])?;
    let refused = evaluate(register, "my_measure", equal);
    assert!(matches!(refused, Err(Broken::Measure(error)) if error.status() == "undefined"));
    Ok(())
}
