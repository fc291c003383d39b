//! `pgdl submit`: a competition under rules of its own, with programs as submissions.

use std::path::Path;

use serde_json::Value;

use crate::executables::script;
use crate::small_zoo;
use crate::support::{Answer, Place};

const RULES: &str = r#"
name = "test"
seconds_per_network = 60

[phase.development]
zoos = ["small"]
submissions_per_day = 2

[phase.final]
zoos = ["small"]
submissions_per_day = 1
after = "development"
"#;

fn place() -> Place {
    let place = small_zoo::place();
    std::fs::write(place.path("rules.toml"), RULES).unwrap();
    std::fs::write(place.path("strict.toml"), RULES.replace("= 60", "= 1")).unwrap();
    place
}

fn submit(place: &Place, program: &Path, phase: &str, further: &[&str], exit: i32) -> Answer {
    submit_under("rules.toml", place, program, phase, further, exit)
}

fn submit_under(
    rules: &str,
    place: &Place,
    program: &Path,
    phase: &str,
    further: &[&str],
    exit: i32,
) -> Answer {
    let program = program.to_str().unwrap();
    let mut arguments = vec!["submit", program, "--phase", phase, "--rules", rules, "--board", "board"];
    arguments.extend(["--device", "cpu", "--format", "json"]);
    arguments.extend(further);
    place.run(&arguments, exit)
}

fn ledger(place: &Place) -> Vec<Value> {
    let text = std::fs::read_to_string(place.path("board/ledger.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A measure that tells networks apart: the size of their weights' file.
const SIZE: &str = r#"printf '{"value":%s}' "$(stat -c %s /job/weights.raw)""#;

#[test]
fn a_submission_is_scored_as_the_competition_scored_it() {
    let place = place();
    let program = script(&place, "size", SIZE);
    let answer = submit(&place, &program, "development", &[], 0);
    let rows = answer.json();
    assert_eq!(
        (&rows[0]["rank"], &rows[0]["name"], &rows[0]["verdict"]),
        (&1.into(), &"size".into(), &"scored".into())
    );
    let entries = ledger(&place);
    assert_eq!(entries.len(), 1);
    let total = entries[0]["total"].as_f64().unwrap();

    // The same values, by the competition's own files: scored again they give the same.
    let folder = place.path("board/submissions");
    let folder = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let predictions = folder.join("small.predict");
    let scored = place.run(
        &[
            "score",
            "--zoo",
            "small",
            "--predictions",
            predictions.to_str().unwrap(),
            "--format",
            "json",
            "--bootstrap",
            "0",
        ],
        0,
    );
    let cmi = scored.json()["scores"][0]["cmi_pgdl"].as_f64().unwrap();
    assert!((100.0 * cmi - total).abs() < 1e-9, "{cmi} against {total}");
    let scores = std::fs::read_to_string(folder.join("scores.txt")).unwrap();
    assert_eq!(scores, format!("task_small_score: {total:.12}\ntask_average_score: {total:.12}\n"));
    let values: Value = serde_json::from_str(&std::fs::read_to_string(predictions).unwrap()).unwrap();
    assert_eq!(values.as_object().unwrap().len(), 4);
    // As the scorer sees them: the sizes of the files.
    let distinct: std::collections::BTreeSet<String> =
        values.as_object().unwrap().values().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 4);
    assert!(std::fs::read_to_string(place.path("board/development.md")).unwrap().contains("| size |"));
}

#[test]
fn a_day_has_its_number_of_submissions_and_ties_go_to_the_earlier() {
    let place = place();
    let first = script(&place, "first", SIZE);
    let second = script(&place, "second", SIZE);
    submit(&place, &first, "development", &[], 0);
    let board = submit(&place, &second, "development", &[], 0).json();
    let names: Vec<&str> =
        board.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "second"], "equal totals, the earlier first");
    submit(&place, &first, "development", &[], 0);
    let refused = submit(&place, &first, "development", &[], 2);
    assert!(refused.stderr.contains("used up the 2 submissions of today"), "{}", refused.stderr);
    assert_eq!(ledger(&place).len(), 3, "a refused submission is none");
    // Under another name it is somebody else's.
    submit(&place, &first, "development", &["--name", "third"], 0);
    assert_eq!(ledger(&place).len(), 4);
}

#[test]
fn who_exceeds_the_budget_has_zero_and_is_not_admitted_to_the_final() {
    let place = place();
    let slow = script(&place, "slow", &format!("sleep 4\n{SIZE}"));
    let answer = submit_under("strict.toml", &place, &slow, "development", &["--jobs", "1"], 4);
    let entries = ledger(&place);
    assert_eq!(
        (&entries[0]["verdict"], &entries[0]["total"]),
        (&"exceeded".into(), &0.0.into()),
        "{}",
        answer.stderr
    );
    let folder = std::fs::read_dir(place.path("board/submissions")).unwrap().next().unwrap().unwrap().path();
    let predictions = std::fs::read_to_string(folder.join("small.predict")).unwrap();
    assert!(predictions.contains("\"EXCEEDED\""), "{predictions}");
    assert!(
        std::fs::read_to_string(folder.join("scores.txt"))
            .unwrap()
            .ends_with("task_average_score: 0.000000000000\n")
    );
    submit_under("strict.toml", &place, &slow, "final", &[], 4);
    let entries = ledger(&place);
    assert_eq!(entries[1]["verdict"], "not_admitted");
    assert!(
        entries[1]["reason"].as_str().unwrap().contains("exceeded the budget of phase development on small")
    );

    let quick = script(&place, "quick", SIZE);
    submit(&place, &quick, "final", &[], 0);
    assert_eq!(ledger(&place)[2]["verdict"], "scored");
}

#[test]
fn who_attacks_has_no_score_and_the_board_says_what_happened() {
    let place = place();
    let bad = script(&place, "bad", "kill -9 $$");
    let answer = submit(&place, &bad, "development", &[], 4);
    let board = answer.json();
    assert!(board[0]["total"].is_null() && board[0]["rank"].is_null());
    let reason = board[0]["reason"].as_str().unwrap();
    assert!(reason.contains("crashed") && reason.contains("SIGKILL"), "{reason}");
    // It runs in the sandbox without being asked to.
    let looks = script(
        &place,
        "looks",
        &format!("cat '{}' && {SIZE}", place.path("small/model_configs.json").display()),
    );
    let board = submit(&place, &looks, "development", &[], 4).json();
    let reason = board[1]["reason"].as_str().unwrap();
    assert!(reason.contains("No such file or directory"), "{reason}");
}

#[test]
fn what_cannot_be_submitted_is_told_before_anything_runs() {
    let place = place();
    let program = script(&place, "size", SIZE);
    let refused = |program: &Path, phase: &str, further: &[&str], words: &str| {
        let answer = submit(&place, program, phase, further, 2);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
        assert!(answer.stderr.contains("hint: "), "{}", answer.stderr);
    };
    refused(&program, "finale", &[], "no phase `finale`");
    refused(&program, "final", &["--measure", "other"], "no measure `other`");
    refused(&program, "final", &["--name", "../x"], "cannot stand on a leaderboard");
    assert!(!place.path("board/ledger.jsonl").exists());
}
