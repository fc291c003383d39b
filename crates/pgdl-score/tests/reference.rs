//! Archived scores, recomputed: the competition's own, its sample task, and a ledger of 380 networks.
//!
//! The files are found at `$PGDL_REFERENCE`, or in `shared/reference` beside the repository. Their expected values were
//! made by the competition's program (archived output) and by independent programs.

use std::path::{Path, PathBuf};

use pgdl_score::{
    Axis, Grid, Observations, Outcome, cmi_pgdl, granulated_kendall, kendall_counts, kendall_tau_a,
    kendall_tau_b, pearson, sign_error,
};
use serde_json::Value;

fn reference(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PGDL_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference"),
        PathBuf::from,
    );
    let path = root.join(path);
    if !path.exists() {
        println!("skipped: {} not found", path.display());
        return None;
    }
    Some(path)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Names of the networks in numeric order, the grid and the gaps of a `model_configs.json`.
fn zoo(path: &Path) -> (Vec<String>, Grid, Vec<f64>) {
    let configs = json(path);
    let configs = configs.as_object().unwrap();
    let mut ids: Vec<&String> = configs.keys().collect();
    ids.sort_by_key(|id| id.parse::<u64>().unwrap());
    let axes = configs[ids[0]]["hparams"].as_object().unwrap().iter().map(|(name, hyperparameter)| {
        let labels: Vec<String> =
            hyperparameter["possible_values"].as_array().unwrap().iter().map(text).collect();
        let level = |id: &&String| {
            let value = text(&configs[*id]["hparams"][name]["current_value"]);
            labels.iter().position(|label| *label == value).unwrap() as u32
        };
        Axis { name: name.clone(), levels: ids.iter().map(level).collect(), labels }
    });
    let grid = Grid::new(ids.len(), axes.collect(), None).unwrap();
    let metric = |id: &str, name: &str| configs[id]["metrics"][name].as_f64().unwrap();
    let gaps = ids.iter().map(|id| metric(id, "train_acc") - metric(id, "test_acc")).collect();
    (ids.into_iter().map(|id| format!("model_{id}")).collect(), grid, gaps)
}

fn assert_close(found: &Outcome, expected: &Value, tolerance: f64, what: &str) {
    match (found, expected.as_f64()) {
        (Ok(found), Some(expected)) => {
            assert!((found - expected).abs() <= tolerance, "{what}: {found} for {expected}");
        }
        (Err(_), None) if expected.is_null() => {}
        _ => panic!("{what}: {found:?} for {expected}"),
    }
}

#[test]
fn the_competitions_archived_scores() {
    let Some(predictions) = reference("pgdl_predictions") else { return };
    let Some(public) = reference("pgdl_public") else { return };
    let expected = json(&predictions.join("expected.json"));
    let mut pairs_seen = 0;
    for (measure, tasks) in expected.as_object().unwrap() {
        for (task, expected) in tasks.as_object().unwrap() {
            let what = format!("{measure} on {task}");
            let (names, grid, gap) = zoo(&public.join(task).join("model_configs.json"));
            let predicted = json(&predictions.join(measure).join(format!("{task}.predict")));
            let values: Vec<f64> = names.iter().map(|name| predicted[name].as_f64().unwrap()).collect();
            let observations = Observations::from_numbers(&grid, &gap, &values).unwrap();

            let cmi = cmi_pgdl(&observations).unwrap();
            assert_close(&Ok(cmi.value), &expected["cmi_min"], 1e-12, &what);
            let argmin: Vec<&str> =
                expected["argmin"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            assert_eq!(grid.names(&cmi.argmin), argmin, "{what}");
            let pairs = expected["pairs"].as_object().unwrap();
            assert_eq!(cmi.sets.len(), pairs.len(), "{what}");
            for set in &cmi.sets {
                let mut names = grid.names(&set.axes);
                names.sort_unstable();
                let pair = names.join("|");
                assert_close(&set.value, &pairs[&pair], 1e-12, &format!("{what}, {pair}"));
                pairs_seen += 1;
            }

            let counts = kendall_counts(&values, &gap).unwrap();
            for (found, name) in [
                (counts.concordant, "concordant"),
                (counts.discordant, "discordant"),
                (counts.tied_x, "ties_measure"),
                (counts.tied_y, "ties_gap"),
            ] {
                assert_eq!(Some(found), expected[name].as_u64(), "{what}: {name}");
            }
            assert_close(&kendall_tau_a(&values, &gap), &expected["tau_a"], 1e-12, &what);
            assert_close(&kendall_tau_b(&values, &gap), &expected["tau_b"], 1e-12, &what);
            assert_close(&pearson(&values, &gap), &expected["pearson"], 1e-12, &what);
        }
    }
    assert!(pairs_seen > 0);
}

#[test]
fn the_sample_task() {
    let Some(expected) = reference("pgdl_toy_expected.json") else { return };
    let Some(configs) = reference("pgdl_toy/model_configs.json") else { return };
    let quantities = json(&expected);
    let (names, grid, gap) = zoo(&configs);
    assert_eq!(names.len(), 18);
    for (quantity, expected) in [
        ("l2norm_sq", 0.100701323909),
        ("dist_init_sq", 0.119005118122),
        ("vc_dim", 0.0),
        ("train_ce", 0.063566684915),
    ] {
        let values: Vec<f64> =
            names.iter().map(|name| quantities[name][quantity].as_f64().unwrap()).collect();
        let observations = Observations::from_numbers(&grid, &gap, &values).unwrap();
        let found = cmi_pgdl(&observations).unwrap().value;
        assert!((found - expected).abs() < 1e-12, "{quantity}: {found} for {expected}");
    }
}

#[test]
fn the_ledger_of_380_networks() {
    let Some(table) = reference("nin_ledger/final.csv") else { return };
    let Some(expected) = reference("nin_ledger/expected.json") else { return };
    let expected = json(&expected);
    let mut reader = csv::Reader::from_path(table).unwrap();
    let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let texts = |name: &str| -> Vec<String> {
        let column = columns.iter().position(|column| column == name).unwrap();
        rows.iter().map(|row| row[column].to_owned()).collect()
    };
    let numbers = |name: &str| -> Vec<f64> {
        texts(name).iter().map(|text| text.parse().unwrap_or(f64::NAN)).collect()
    };

    let hyperparameters: Vec<&str> =
        expected["hp"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let axes = hyperparameters.iter().map(|name| Axis::observed(*name, &texts(name))).collect();
    let seeds = numbers("seed").iter().map(|&seed| seed as u32).collect();
    let grid = Grid::new(rows.len(), axes, Some(seeds)).unwrap();
    assert_eq!(Some(rows.len() as u64), expected["n_models"].as_u64());
    assert_eq!(grid.occupancy().combinations - grid.occupancy().occupied, 4);
    let gap: Vec<f64> =
        numbers("train_acc").iter().zip(numbers("test_acc")).map(|(train, test)| train - test).collect();

    let mut scored = 0;
    for (measure, expected) in expected["measures"].as_object().unwrap() {
        let values = numbers(measure);
        if expected.get("skipped").is_some() {
            assert!(values.iter().any(|value| !value.is_finite()), "{measure}");
            continue;
        }
        scored += 1;
        let observations = Observations::from_numbers(&grid, &gap, &values).unwrap();
        let close = |found: &Outcome, expected: &Value, what: &str| {
            assert_close(found, expected, 1e-9, &format!("{measure}, {what}"));
        };
        close(&kendall_tau_b(&values, &gap), &expected["tau_b"], "tau_b");
        let hundredfold = cmi_pgdl(&observations).map(|cmi| cmi.value * 100.0);
        close(&hundredfold, &expected["cmi_pgdl"], "cmi_pgdl");
        let granulated = granulated_kendall(&observations);
        close(&granulated.mean, &expected["psi"], "psi");
        for (axis, name) in granulated.axes.iter().zip(&hyperparameters) {
            close(&axis.value, &expected["psi_axes"][name], name);
        }
        for (floor, name) in [(0.0, "ess>=0"), (4.0, "ess>=4")] {
            // 10,000 test images of CIFAR-10.
            let found = sign_error(&observations, 10_000, floor).unwrap();
            let expected = &expected["sign_error"][name];
            assert_eq!(Some(found.environments), expected["n_env"].as_u64(), "{measure}, {name}");
            close(&Ok(found.mean), &expected["mean"], name);
            close(&Ok(found.p90), &expected["p90"], name);
            close(&Ok(found.max), &expected["max"], name);
        }
    }
    assert!(scored > 0);
}
