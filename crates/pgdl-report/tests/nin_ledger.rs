//! A table of 380 real networks with 94 measures, read and scored, equals independently computed values.

mod reference;

use std::collections::BTreeMap;
use std::path::PathBuf;

use pgdl_report::{GapColumns, ScoreReport, TableSpec};
use pgdl_score::Options;
use reference::{json, reference};
use serde_json::Value;

const TOLERANCE: f64 = 1e-9;

fn spec(path: PathBuf) -> TableSpec {
    TableSpec {
        path,
        hyperparameters: ["lr", "batch_size", "model_depth"].map(str::to_owned).to_vec(),
        seed: Some("seed".into()),
        id: None,
        gap: GapColumns::Accuracies { train: "train_acc".into(), test: "test_acc".into() },
        measures: None,
    }
}

fn close(found: Option<f64>, expected: &Value) -> bool {
    match (found, expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE,
        (found, expected) => found == expected,
    }
}

#[test]
fn every_expected_value_is_reproduced() {
    let Some(folder) = reference("nin_ledger") else { return };
    let expected = json(&folder.join("expected.json"));
    let expected = expected["measures"].as_object().unwrap();
    let mut table = spec(folder.join("final.csv"));
    table.measures = Some(expected.keys().cloned().collect());
    let table = table.read().unwrap();
    assert_eq!(table.population.networks.len(), 380);

    let scored = |ess_floor| {
        let options = Options { bootstrap: 0, test_examples: Some(10_000), ess_floor, ..Options::default() };
        ScoreReport::new(&table.population, &table.measures, &options).unwrap()
    };
    let (all, firm) = (scored(0.0), scored(4.0));
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (score, firm) in all.scores.iter().zip(&firm.scores) {
        let expected = &expected[&score.measure];
        if let Some(reason) = expected["skipped"].as_str() {
            let values = table.measures.iter().find(|measure| measure.measure == score.measure).unwrap();
            let finite =
                values.entries.iter().filter(|entry| entry.value().is_some_and(f64::is_finite)).count();
            assert_eq!(
                reason,
                format!("non-finite or missing in {} models", 380 - finite),
                "{}",
                score.measure
            );
            continue;
        }
        let mut compare = |key: &str, found: Option<f64>, expected: &Value| {
            compared += 1;
            if !close(found, expected) {
                wrong.push(format!("{} {key}: {found:?} instead of {expected}", score.measure));
            }
        };
        compare("tau_b", score.kendall_tau_b, &expected["tau_b"]);
        compare("psi", score.granulated_kendall_mean, &expected["psi"]);
        compare("cmi_pgdl", score.cmi_pgdl.map(|value| 100.0 * value), &expected["cmi_pgdl"]);
        for (axis, psi) in &score.granulated_kendall {
            compare(axis, *psi, &expected["psi_axes"][axis]);
        }
        for (floor, score) in [("ess>=0", score), ("ess>=4", firm)] {
            let expected = &expected["sign_error"][floor];
            compare(floor, score.sign_error_mean, &expected["mean"]);
            compare(floor, score.sign_error_p90, &expected["p90"]);
            compare(floor, score.sign_error_max, &expected["max"]);
        }
    }
    assert!(compared > 100, "{compared}");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_other_numeric_columns_are_the_measures() {
    let Some(folder) = reference("nin_ledger") else { return };
    let table = spec(folder.join("final.csv")).read().unwrap();
    // 106 columns, of which seed, three hyperparameters and two accuracies have roles.
    assert_eq!(table.measures.len(), 100);
    assert!(table.passed_over.is_empty());
    let covered: BTreeMap<&str, usize> =
        table.measures.iter().map(|measure| (measure.measure.as_str(), measure.covered())).collect();
    assert_eq!(covered["shifted_margin"], 375, "NaN is no value");
    assert_eq!(covered["pos_margin"], 380, "an infinity can be ranked");
    assert_eq!(table.population.networks[0].label, "line 2");
    let depths: Vec<String> =
        table.population.hyperparameters[2].possible_values.iter().map(ToString::to_string).collect();
    assert_eq!(table.population.hyperparameters[2].name, "model_depth");
    assert_eq!(depths.len(), 4);
}
