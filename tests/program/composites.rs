//! Expressions over measures, from the command line to tables.

use std::path::{Path, PathBuf};

use crate::small_zoo;
use crate::support::{Place, reference};

/// The kit's sample task: 18 networks, with norms that were recomputed independently.
fn sample() -> Option<(String, serde_json::Value)> {
    let zoo: PathBuf = reference("pgdl_toy")?;
    let expected = std::fs::read_to_string(Path::new(&reference("pgdl_toy_expected.json")?)).ok()?;
    Some((zoo.to_str()?.to_owned(), serde_json::from_str(&expected).ok()?))
}

const RATIO: &str = "ratio = l2_norm / (1 + distance_from_init)";

fn ratio(network: &serde_json::Value) -> f64 {
    network["l2norm_sq"].as_f64().unwrap() / (1.0 + network["dist_init_sq"].as_f64().unwrap())
}

#[test]
fn a_composite_is_evaluated_network_by_network() {
    let Some((zoo, expected)) = sample() else { return };
    let place = Place::new();
    let rows = place.run(&["eval", "--zoo", &zoo, "--measure", RATIO, "--format", "json"], 0).json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3 * 18, "two measures and the composite");
    let composite: Vec<_> = rows.iter().filter(|row| row["measure"] == "ratio").collect();
    assert_eq!(composite.len(), 18);
    for row in composite {
        let network = format!("model_{}", row["network"].as_str().unwrap());
        let (found, known) = (row["value"].as_f64().unwrap(), ratio(&expected[&network]));
        assert!((found - known).abs() < 1e-5 * known, "{network}: {found}, not {known}");
    }
}

#[test]
fn a_composite_is_scored_and_ranked_like_a_measure() {
    let Some((zoo, expected)) = sample() else { return };
    let place = Place::new();
    let list = format!("l2_norm,{RATIO},2*l2_norm");
    let score = |more: &[&str]| {
        let arguments = [&["score", "--zoo", &zoo, "--measure", &list, "--bootstrap", "0"], more].concat();
        place.run(&arguments, 0)
    };
    let report = score(&["--format", "json", "--ranking"]).json();
    let scores = report["scores"].as_array().unwrap();
    let named: Vec<_> =
        scores.iter().map(|score| (score["measure"].as_str(), score["expression"].as_str())).collect();
    assert_eq!(
        named,
        [
            (Some("l2_norm"), None),
            (Some("ratio"), Some("l2_norm / (1 + distance_from_init)")),
            (Some("2 * l2_norm"), Some("2 * l2_norm"))
        ]
    );
    assert_eq!(scores[0]["cmi_pgdl"], scores[2]["cmi_pgdl"], "a factor changes no order");
    let first = report["ranking"].as_array().unwrap().iter().find(|row| row["measure"] == "ratio").unwrap();
    let largest =
        expected.as_object().unwrap().iter().max_by(|a, b| ratio(a.1).total_cmp(&ratio(b.1))).unwrap();
    assert_eq!(format!("model_{}", first["network"].as_str().unwrap()), *largest.0);

    let csv = score(&["--format", "csv"]).stdout;
    assert!(csv.lines().next().unwrap().ends_with(",expression"), "{csv}");
    assert!(csv.contains(",l2_norm / (1 + distance_from_init)\n"), "{csv}");
    assert!(score(&["--format", "markdown"]).stdout.contains("| l2_norm / (1 + distance_from_init) |"));
}

#[test]
fn what_has_no_value_says_why_and_the_exit_code_tells() {
    let Some((zoo, _)) = sample() else { return };
    let place = Place::new();
    let answer = place.run(
        &[
            "score",
            "--zoo",
            &zoo,
            "--measure",
            "ln(l2_norm - l2_norm)",
            "--format",
            "json",
            "--bootstrap",
            "0",
        ],
        4,
    );
    let report = answer.json();
    assert_eq!(report["scores"][0]["status"], "undefined");
    assert_eq!(report["scores"][0]["covered"], 0);
    assert!(answer.stderr.contains("(and 17 more)"), "{}", answer.stderr);
    assert!(answer.stderr.contains("`ln(l2_norm - l2_norm)`: the logarithm of 0"), "{}", answer.stderr);
}

#[test]
fn mistakes_are_placed_and_answered_together() {
    let place = Place::new();
    let refused = |list: &str| place.run(&["measures", list], 2).stderr;
    let one = refused("davies_bouldin * (1 - mixup_acuracy)");
    assert!(one.contains("at character 23: unknown measure `mixup_acuracy`"), "{one}");
    assert!(one.contains("hint: did you mean `mixup_accuracy`?"), "{one}");
    let several = refused("magrin,l2_norm:p=1,margin:p=200,family:norm");
    for part in [
        "4 mistakes",
        "`magrin` (did you mean `margin`?)",
        "no parameter `p`",
        "from 0 to 100",
        "`norm` (did you mean `norms`?)",
    ] {
        assert!(several.contains(part), "{part} in {several}");
    }
}

#[test]
fn an_explanation_holds_the_measures_of_the_expression() {
    let place = Place::new();
    let text = place.run(&["explain", "x = l2_norm / (1 + train_error)"], 0).stdout;
    for part in [
        "x (composite)\n",
        "\nExpression\n  l2_norm / (1 + train_error)\n",
        "\nl2_norm (family norms",
        "\ntrain_error (family controls",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn boards_and_reports_compute_composites_from_records_alone() {
    let place = small_zoo::place();
    let composite = "ratio = margin / (1 + l2_norm)";
    let list = format!("margin,l2_norm,{composite}");
    let score = ["score", "--zoo", "small", "--device", "cpu", "--run", "run", "--measure", &list];
    let plain = ["--bootstrap", "0", "--format", "json"];
    let scored = place.run(&[&score[..], &plain].concat(), 0).json();
    let before = std::fs::read(place.path("run/records.jsonl")).unwrap();
    let of = |report: &serde_json::Value| {
        let scores = report["scores"].as_array().unwrap();
        scores.iter().find(|score| score["measure"] == "ratio").unwrap().clone()
    };
    let board = place.run(&[&["board", "run", "--composite", composite], &plain[..]].concat(), 0).json();
    assert_eq!(board["scores"].as_array().unwrap().len(), 3);
    assert_eq!(of(&board), of(&scored));

    let report = ["report", "run", "--zoo", "small", "--bootstrap", "0", "--composite", composite];
    place.run(&report, 0);
    let page = std::fs::read_to_string(place.path("report.html")).unwrap();
    let (_, section) = page.split_once("data-measure=\"ratio\"").expect("a section of its own");
    let section = section.split("data-measure=").next().unwrap();
    assert!(section.contains("margin / (1 + l2_norm)"), "its formula is its expression");
    let tau = of(&scored)["kendall_tau_b"].as_f64().unwrap();
    assert!(page.contains(&format!("data-v=\"{tau}\"")), "its score, {tau}, is on the board");
    assert_eq!(std::fs::read(place.path("run/records.jsonl")).unwrap(), before, "nothing was evaluated");

    // A measure without records gives no value, and no row of its own.
    let unknown = ["board", "run", "--composite", "other = margin / path_norm"];
    let board = place.run(&[&unknown[..], &plain].concat(), 0).json();
    assert_eq!(
        (&board["scores"][2]["measure"], &board["scores"][2]["covered"]),
        (&"other".into(), &0.into())
    );
    let refused = place.run(&["board", "run", "--composite", "margin"], 2);
    assert!(refused.stderr.contains("`margin` is a measure, not a composite"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: "), "{}", refused.stderr);
}
