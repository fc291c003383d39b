//! The JSON object of `score --format json`: its keys, its schema, and the tables made of the same scores.

use std::fs;
use std::path::Path;

use pgdl_report::{
    Entry, GapKind, MeasureValues, Population, PopulationNetwork, ScoreReport, TextOptions, ValueStatus,
    score_report_schema,
};
use pgdl_score::{Options, TaskScore};
use pgdl_zoo::{HyperValue, Hyperparameter};
use serde_json::Value;

/// Sixteen networks on a grid of depth × width × lr × momentum, with gaps that depend on depth and a little on lr.
fn population() -> Population {
    let names = ["depth", "width", "lr", "momentum"];
    let hyperparameters: Vec<Hyperparameter> = names
        .iter()
        .map(|name| Hyperparameter {
            name: (*name).to_owned(),
            possible_values: vec![HyperValue::Number(1.0), HyperValue::Text("two".into())],
        })
        .collect();
    let networks = (0..16_u64)
        .map(|id| {
            let level = |axis: u64| (id >> axis & 1) as usize;
            PopulationNetwork {
                id: Some(id),
                label: id.to_string(),
                hyperparameters: (0..4)
                    .map(|axis| hyperparameters[axis].possible_values[level(axis as u64)].clone())
                    .collect(),
                seed: None,
                gap: 0.1 * (level(0) as f64) + 0.02 * (level(2) as f64) + 0.001 * ((id * 7 % 16) as f64),
            }
        })
        .collect();
    Population { name: "small".into(), gap: GapKind::Accuracy, hyperparameters, networks }
}

fn measure(name: &str, entry: impl Fn(usize, f64) -> Entry) -> MeasureValues {
    let entries =
        population().networks.iter().enumerate().map(|(place, network)| entry(place, network.gap)).collect();
    MeasureValues { measure: name.to_owned(), entries, seconds: Some(12.34), expression: None }
}

/// A measure that is right, one that is constant, one that lacks values, one that has none.
fn report() -> ScoreReport {
    let measures = [
        measure("constant", |_, _| Entry::number(1.0)),
        measure("noisy:p=3", |place, gap| match place {
            0 => Entry::absent(ValueStatus::Exceeded, ""),
            1 => Entry::number(f64::NAN),
            _ => Entry::number(gap + 0.03 * ((place * 5 % 7) as f64 / 7.0)),
        }),
        MeasureValues { seconds: None, ..measure("absent", |_, _| Entry::missing()) },
        measure("oracle", |_, gap| Entry::number(gap)),
    ];
    let options = Options { bootstrap: 50, test_examples: Some(10_000), ..Options::default() };
    ScoreReport::new(&population(), &measures, &options).unwrap()
}

/// The keys of a score, as documented.
const KEYS: [&str; 29] = [
    "measure",
    "expression",
    "status",
    "covered",
    "cmi_pgdl",
    "cmi_pgdl_ci",
    "cmi_pgdl_pair",
    "cmi_pgdl_symmetric",
    "cmi_pgdl_symmetric_ci",
    "cmi_fgm",
    "cmi_fgm_ci",
    "cmi_fgm_set",
    "kendall_tau_a",
    "kendall_tau_a_ci",
    "kendall_tau_b",
    "kendall_tau_b_ci",
    "granulated_kendall",
    "granulated_kendall_mean",
    "granulated_kendall_mean_ci",
    "sign_error_mean",
    "sign_error_p90",
    "sign_error_max",
    "spearman",
    "pearson",
    "r2_cv",
    "seconds",
    "statuses",
    "undefined",
    "warnings",
];

#[test]
fn the_object_has_exactly_its_keys() {
    let json: Value = serde_json::from_str(&report().to_json()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<String>>();
    assert_eq!(keys(&json), ["schema", "zoo", "networks", "gap", "scores"]);
    assert_eq!(
        (&json["zoo"], &json["networks"], &json["gap"]),
        (&"small".into(), &16.into(), &"accuracy".into())
    );
    for score in json["scores"].as_array().unwrap() {
        assert_eq!(keys(score), KEYS);
        assert_eq!(keys(&score["granulated_kendall"]), ["depth", "lr", "momentum", "width"]);
    }
}

#[test]
fn what_is_null_has_a_reason_and_what_is_not_has_none() {
    let json: Value = serde_json::from_str(&report().to_json()).unwrap();
    for score in json["scores"].as_array().unwrap() {
        let undefined = score["undefined"].as_object().unwrap();
        for key in KEYS
            .iter()
            .filter(|key| !key.ends_with("_ci"))
            // A measure that is no composite has no expression; the others are explained by what stands beside them.
            .filter(|key| !["expression", "cmi_pgdl_pair", "cmi_fgm_set", "seconds"].contains(key))
        {
            assert_eq!(score[key].is_null(), undefined.contains_key(*key), "{} {key}", score["measure"]);
        }
        for (axis, psi) in score["granulated_kendall"].as_object().unwrap() {
            let reason = undefined.contains_key(&format!("granulated_kendall.{axis}"));
            assert_eq!(psi.is_null(), reason, "{} {axis}", score["measure"]);
        }
        for key in KEYS.iter().filter(|key| key.ends_with("_ci")) {
            let value = &score[key.trim_end_matches("_ci")];
            assert!(score[key].is_null() || value.is_number(), "{key} without a value");
        }
    }
}

#[test]
fn scores_are_fractions_and_statuses_the_gravest() {
    let report = report();
    let [constant, noisy, absent, oracle] = report.scores.as_slice() else { panic!("four measures") };
    assert_eq!(oracle.kendall_tau_b, Some(1.0));
    assert!((oracle.cmi_pgdl.unwrap() - 1.0).abs() < 1e-9);
    assert_eq!((oracle.status, oracle.covered), (ValueStatus::Ok, 16));
    assert_eq!(constant.cmi_pgdl, Some(0.0));
    assert_eq!(constant.kendall_tau_b, None);
    assert_eq!((noisy.status, noisy.covered), (ValueStatus::Exceeded, 14));
    assert_eq!(noisy.statuses[&ValueStatus::Undefined], 1);
    assert_eq!((absent.status, absent.covered, absent.cmi_pgdl), (ValueStatus::Missing, 0, None));
    assert_eq!(noisy.task_score(), Some(TaskScore::Exceeded));
    assert_eq!(constant.task_score(), Some(TaskScore::Value(0.0)));
    assert_eq!(absent.task_score(), None);
}

#[test]
fn a_report_reads_back() {
    let report = report();
    assert_eq!(serde_json::from_str::<ScoreReport>(&report.to_json()).unwrap(), report);
}

#[test]
fn the_schema_in_the_repository_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/score.schema.json");
    if std::env::var_os("PGDL_UPDATE_SCHEMAS").is_some() {
        fs::write(&path, score_report_schema()).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(
        kept == score_report_schema(),
        "{} is stale: run this test with PGDL_UPDATE_SCHEMAS=1",
        path.display()
    );
}

#[test]
fn reports_follow_the_schema_and_other_objects_do_not() {
    let schema: Value = serde_json::from_str(&score_report_schema()).unwrap();
    let json: Value = serde_json::from_str(&report().to_json()).unwrap();
    assert_eq!(violation(&schema, &schema, &json, "report"), None);

    let refused = |change: &dyn Fn(&mut Value)| {
        let mut json = json.clone();
        change(&mut json);
        violation(&schema, &schema, &json, "report").is_some()
    };
    assert!(refused(&|json| json["schema"] = "one".into()));
    assert!(refused(&|json| json["gap"] = "margin".into()));
    assert!(refused(&|json| json["scores"][0]["status"] = "fine".into()));
    assert!(refused(&|json| json["scores"][0]["cmi_pgdl_ci"] = vec![0.5].into()));
    assert!(refused(&|json| {
        json["scores"][0].as_object_mut().unwrap().remove("cmi_fgm");
    }));
    assert!(refused(&|json| json["scores"][3]["granulated_kendall"]["depth"] = "high".into()));
}

/// Where `value` breaks `schema`, by the keywords that occur in the schema; `None` where it does not.
fn violation(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    for (keyword, argument) in schema.as_object()? {
        let sub = |schema: &Value, value: &Value, place: &str| violation(root, schema, value, place);
        let found = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" => None,
            "$ref" => {
                let pointer = argument.as_str().unwrap().trim_start_matches('#');
                sub(root.pointer(pointer).unwrap(), value, place)
            }
            "type" => {
                let types: Vec<&str> = match argument {
                    Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                let is = |kind: &str| match kind {
                    "null" => value.is_null(),
                    "string" => value.is_string(),
                    "number" => value.is_number(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("type {other}"),
                };
                (!types.iter().any(|kind| is(kind))).then(|| format!("{place} is no {types:?}: {value}"))
            }
            "const" => (argument != value).then(|| format!("{place} is not {argument}: {value}")),
            "enum" => (!argument.as_array().unwrap().contains(value)).then(|| format!("{place}: {value}")),
            "anyOf" | "oneOf" => {
                let fits = |schema: &&Value| sub(schema, value, place).is_none();
                (argument.as_array().unwrap().iter().filter(fits).count() == 0)
                    .then(|| format!("{place}: {value}"))
            }
            "required" => argument
                .as_array()
                .unwrap()
                .iter()
                .find(|key| value.is_object() && value.get(key.as_str().unwrap()).is_none())
                .map(|key| format!("{place} has no {key}")),
            "properties" => argument.as_object().unwrap().iter().find_map(|(key, schema)| {
                value.get(key).and_then(|value| sub(schema, value, &format!("{place}.{key}")))
            }),
            "additionalProperties" => value.as_object().into_iter().flatten().find_map(|(key, value)| {
                let known = schema.get("properties").is_some_and(|properties| properties.get(key).is_some());
                if known { None } else { sub(argument, value, &format!("{place}.{key}")) }
            }),
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .find_map(|(at, value)| sub(argument, value, &format!("{place}[{at}]"))),
            "minItems" | "maxItems" => value.as_array().and_then(|items| {
                let (length, bound) = (items.len() as u64, argument.as_u64().unwrap());
                let broken = if keyword == "minItems" { length < bound } else { length > bound };
                broken.then(|| format!("{place} has {length} items"))
            }),
            "minimum" => {
                let below = value.as_f64().is_some_and(|value| value < argument.as_f64().unwrap());
                below.then(|| format!("{place} is below {argument}"))
            }
            other => panic!("this test does not know the keyword {other}"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn the_table_has_the_best_measure_first_and_marks_what_went_wrong() {
    let table = report().table();
    let text = table.to_text(TextOptions::default());
    let lines: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0], "measure CMI × 100 τ-b Ψ networks time status");
    assert!(lines[2].starts_with("oracle ") && lines[2].ends_with(" 16/16 12 s ok"), "{text}");
    let noisy = lines.iter().find(|line| line.starts_with("noisy:p=3 ")).unwrap();
    assert!(noisy.ends_with(" 14/16 12 s 1 exceeded, 1 undefined"), "{text}");
    assert_eq!(lines[5], "absent – – – 0/16 – 16 missing");

    let csv = table.to_csv();
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    for key in KEYS.iter().filter(|key| !key.ends_with("_ci") && !["undefined", "warnings"].contains(key)) {
        let key = if *key == "granulated_kendall" { "granulated_kendall_depth" } else { key };
        assert!(header.contains(&key), "{key} in {header:?}");
    }
    assert!(header.contains(&"kendall_tau_b_low") && header.contains(&"kendall_tau_b_high"));
}
