//! Files that a team submitted to the competition, scored from file to report, equal the competition program's archived
//! output and independently computed correlations.

mod reference;

use pgdl_report::{Population, Predictions, ScoreReport, ScoresFile, Statistic};
use pgdl_score::{Options, TaskScore};
use pgdl_zoo::{Gap, Zoo};
use reference::{json, reference};

const TOLERANCE: f64 = 1e-12;

fn assert_close(found: Option<f64>, expected: &serde_json::Value, what: &str) {
    match (found, expected.as_f64()) {
        (Some(found), Some(expected)) => {
            assert!((found - expected).abs() <= TOLERANCE, "{what}: {found} instead of {expected}");
        }
        (found, expected) => assert_eq!(found, expected, "{what}"),
    }
}

#[test]
fn every_archived_prediction_file_gets_its_archived_score() {
    let (Some(folder), Some(public)) = (reference("pgdl_predictions"), reference("pgdl_public")) else {
        return;
    };
    let options = Options { bootstrap: 0, ..Options::default() };
    let mut scored = 0;
    for (measure, tasks) in json(&folder.join("expected.json")).as_object().unwrap() {
        for (task, expected) in tasks.as_object().unwrap() {
            let zoo = Zoo::open(public.join(task)).unwrap();
            let population = Population::from_zoo(&zoo, Gap::Accuracy).unwrap();
            let file = Predictions::read(folder.join(measure).join(format!("{task}.predict"))).unwrap();
            let values = file.values(&population).unwrap();
            assert_eq!(values.measure, *measure, "the folder names the measure");
            assert_eq!(values.covered(), population.networks.len());

            let report = ScoreReport::new(&population, &[values], &options).unwrap();
            let score = &report.scores[0];
            let what = |key: &str| format!("{measure} on {task}: {key}");
            assert_close(score.cmi_pgdl, &expected["cmi_min"], &what("cmi_pgdl"));
            assert_close(score.kendall_tau_a, &expected["tau_a"], &what("kendall_tau_a"));
            assert_close(score.kendall_tau_b, &expected["tau_b"], &what("kendall_tau_b"));
            assert_close(score.pearson, &expected["pearson"], &what("pearson"));
            for statistic in Statistic::ALL {
                let reason = score.undefined.get(statistic.key());
                assert_eq!(statistic.of(score).is_none(), reason.is_some(), "{}", what(statistic.key()));
            }
            // Several pairs may attain the minimum.
            let [first, second] = score.cmi_pgdl_pair.clone().unwrap();
            let pairs = &expected["pairs"];
            let pair = [format!("{first}|{second}"), format!("{second}|{first}")];
            let attained = pair.iter().find_map(|key| pairs[key].as_f64()).unwrap();
            assert!(
                (attained - expected["cmi_min"].as_f64().unwrap()).abs() <= TOLERANCE,
                "{}",
                what("pair")
            );
            scored += 1;
        }
    }
    assert_eq!(scored, 14);
}

#[test]
fn the_scores_file_of_a_phase_has_the_competitions_total() {
    let (Some(folder), Some(public)) = (reference("pgdl_predictions"), reference("pgdl_public")) else {
        return;
    };
    let expected = json(&folder.join("expected.json"));
    let options = Options { bootstrap: 0, ..Options::default() };
    let mut tasks: Vec<(String, TaskScore)> = Vec::new();
    for task in ["task1_v4", "task2_v1"] {
        let zoo = Zoo::open(public.join(task)).unwrap();
        let population = Population::from_zoo(&zoo, Gap::Accuracy).unwrap();
        let values = Predictions::read(folder.join("RBF").join(format!("{task}.predict")))
            .unwrap()
            .values(&population)
            .unwrap();
        let report = ScoreReport::new(&population, &[values], &options).unwrap();
        tasks.push((task.to_owned(), report.scores[0].task_score().unwrap()));
    }
    let file = ScoresFile::parse(&ScoresFile::new(&tasks).unwrap().to_text()).unwrap();
    let mean: f64 =
        tasks.iter().map(|(task, _)| expected["RBF"][task]["cmi_min"].as_f64().unwrap()).sum::<f64>() / 2.0;
    assert!((file.average - 100.0 * mean).abs() < 1e-11, "{} instead of {}", file.average, 100.0 * mean);
}
