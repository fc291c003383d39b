//! The program with damaged zoos and impossible requests: one clear error or record, an exit code, and nothing lost.

use std::path::{Path, PathBuf};

use crate::support::{Answer, Place, reference};

/// A copy of the toy zoo that may be damaged.
fn toy(place: &Place) -> Option<PathBuf> {
    let to = place.path("toy");
    copy(&reference("pgdl_toy")?, &to);
    Some(to)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::write(target, std::fs::read(path).unwrap()).unwrap();
        }
    }
}

fn score(place: &Place, exit: i32) -> Answer {
    let arguments =
        ["score", "--zoo", "toy", "--measure", "l2_norm,vc_dim", "--bootstrap", "0", "--format", "json"];
    let answer = place.run(&arguments, exit);
    for word in ["panicked", "RUST_BACKTRACE", "Err("] {
        assert!(!answer.stderr.contains(word), "{}", answer.stderr);
    }
    answer
}

fn assert_error(answer: &Answer, signs: &[&str]) {
    for sign in signs.iter().chain(&["error: ", "hint: "]) {
        assert!(answer.stderr.contains(sign), "{sign} in:\n{}", answer.stderr);
    }
}

#[test]
fn a_network_that_is_missing_or_no_file_costs_only_its_own_records() {
    let place = Place::new();
    let Some(zoo) = toy(&place) else { return };
    let (folder, weights) = (zoo.join("model_9"), zoo.join("model_9/weights.hdf5"));
    let sound = std::fs::read(&weights).unwrap();
    let damages: [&dyn Fn(); 5] = [
        &|| std::fs::write(&weights, &sound[..1000]).unwrap(),
        &|| std::fs::remove_file(&weights).unwrap(),
        &|| std::os::unix::fs::symlink("weights.hdf5", &weights).unwrap(),
        // A program that opens a pipe waits for ever.
        &|| {
            std::fs::remove_file(&weights).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(&weights).status().unwrap().success());
        },
        &|| std::fs::remove_dir_all(&folder).unwrap(),
    ];
    for (number, damage) in damages.iter().enumerate() {
        damage();
        for _ in ["made", "found"] {
            let answer = score(&place, 4);
            let report = answer.json();
            for score in report["scores"].as_array().unwrap() {
                assert_eq!(score["covered"], 17, "damage {number}");
            }
            assert!(answer.stderr.contains("network 9: "), "{}", answer.stderr);
            assert!(answer.stderr.contains("hint: `pgdl zoo check"), "{}", answer.stderr);
            let told = answer.stderr.matches("model_9").count();
            assert_eq!(told, 1, "one damage is told once:\n{}", answer.stderr);
        }
    }
    // Mended, it is evaluated again.
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(&weights, sound).unwrap();
    let source = reference("pgdl_toy").unwrap().join("model_9/config.json");
    std::fs::write(folder.join("config.json"), std::fs::read(source).unwrap()).unwrap();
    assert_eq!(score(&place, 0).json()["scores"][0]["covered"], 18);
}

#[test]
fn damaged_data_are_an_invalid_zoo() {
    let place = Place::new();
    let Some(zoo) = toy(&place) else { return };
    let shard = zoo.join("dataset_1/train/shard_0.tfrecord");
    let mut bytes = std::fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    let answer = score(&place, 6);
    assert_error(&answer, &["shard_0.tfrecord", "checksum differs"]);
    assert!(!answer.stderr.contains("Ctrl-C"), "nobody pressed it: {}", answer.stderr);

    std::fs::write(zoo.join("model_configs.json"), "{\"0\": {\"hparams\": {}, \"metrics\": NaN}}").unwrap();
    assert_error(&score(&place, 6), &["model_configs.json", "not valid JSON", "NaN"]);
}

#[test]
fn a_zoo_that_only_lists_its_networks_says_so() {
    let Some(zoo) = reference("pgdl_public/task1_v4") else { return };
    let answer = Place::new().run(&["score", "--zoo", zoo.to_str().unwrap(), "--measure", "l2_norm"], 6);
    assert_error(&answer, &["task1_v4", "only lists", "--predictions"]);
}

#[test]
fn impossible_numbers_are_usage_errors_with_a_hint() {
    let place = Place::new();
    for [option, value] in [
        ["--sample", "0"],
        ["--shard", "3/2"],
        ["--budget", "0"],
        ["--batch-size", "10000000000"],
        ["--jobs", "0"],
        ["--jobs", "1000000"],
        ["--threads", "1000000"],
        // Its statistics would fill the memory.
        ["--bootstrap", "99999999999"],
        ["--ess-floor", "nan"],
    ] {
        let answer = place.run(&["score", "--zoo", "none", option, value], 2);
        assert_error(&answer, &[option, value]);
    }
    let answer = place.run(&["score", "--zo", "none"], 2);
    assert_error(&answer, &["hint: a similar argument exists"]);
    assert_error(&place.run(&["zoo", "info", "none"], 2), &["none"]);
}

#[test]
fn too_little_memory_for_a_worker_is_said_at_once() {
    let place = Place::new();
    if toy(&place).is_none() {
        return;
    }
    let answer = place.run(&["score", "--zoo", "toy", "--measure", "l2_norm", "--memory", "1"], 1);
    assert_error(&answer, &["1 MiB", "allow more than"]);
}

#[test]
fn what_is_asked_for_as_json_is_one_object() {
    let place = Place::new();
    if toy(&place).is_none() {
        return;
    }
    let arguments = [
        "score",
        "--zoo",
        "toy",
        "--measure",
        "l2_norm,vc_dim",
        "--bootstrap",
        "0",
        "--ranking",
        "--competition-total",
        "--format",
        "json",
    ];
    let report = place.run(&arguments, 0).json();
    let rows = report["ranking"].as_array().unwrap();
    assert_eq!(rows.len(), 36);
    assert_eq!(rows[0]["measure"], "l2_norm");
    assert_eq!(report["competition_totals"].as_array().unwrap().len(), 2);
    assert!(report["competition_totals"][0]["total"].as_f64().unwrap() > 10.0);
}
