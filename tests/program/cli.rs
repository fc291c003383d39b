//! The program as its users meet it: commands, exit codes, messages, formats.

use crate::support::{Place, reference};

const TABLE: &str = "lr,depth,seed,train_acc,test_acc,good,constant,broken,note
0.1,2,0,1.0,0.90,0.10,1,0.3,a
0.1,4,0,1.0,0.85,0.15,1,,b
0.2,2,0,1.0,0.80,0.20,1,0.1,c
0.2,4,0,1.0,0.70,0.30,1,0.2,d
0.1,2,1,1.0,0.91,0.09,1,0.3,e
0.1,4,1,1.0,0.84,0.16,1,0.2,f
0.2,2,1,1.0,0.79,0.21,1,0.1,g
0.2,4,1,1.0,0.68,0.32,1,0.2,h
";

fn with_table() -> Place {
    let place = Place::new();
    std::fs::write(place.path("final.csv"), TABLE).unwrap();
    place
}

const SCORE_TABLE: [&str; 9] = [
    "score",
    "--table",
    "final.csv",
    "--hyperparameters",
    "lr,depth",
    "--train-accuracy",
    "train_acc",
    "--test-accuracy",
    "test_acc",
];

#[test]
fn a_table_is_scored_and_every_column_of_numbers_is_a_measure() {
    let place = with_table();
    let mut arguments = SCORE_TABLE.to_vec();
    arguments.extend(["--seed-column", "seed", "--format", "json", "--test-examples", "10000"]);
    let answer = place.run(&arguments, 0);
    let report = answer.json();
    let scores = report["scores"].as_array().unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score["measure"].as_str().unwrap()).collect();
    assert_eq!(names, ["good", "constant", "broken"]);
    assert!(answer.stderr.contains("note"), "the column without numbers is named: {}", answer.stderr);
    assert_eq!(report["networks"], 8);
    assert_eq!(scores[0]["kendall_tau_b"], 1.0);
    assert_eq!(scores[0]["granulated_kendall_mean"], 1.0);
    assert_eq!(scores[0]["sign_error_mean"], 0.0);
    assert_eq!(scores[1]["cmi_pgdl"], 0.0);
    assert!(scores[1]["kendall_tau_b"].is_null());
    assert!(scores[1]["undefined"]["kendall_tau_b"].is_string());
    assert_eq!(scores[2]["covered"], 7);
}

#[test]
fn the_four_formats_say_the_same() {
    let place = with_table();
    for (format, sign) in
        [("table", "good"), ("csv", "measure,"), ("json", "\"scores\""), ("markdown", "| good")]
    {
        let mut arguments = SCORE_TABLE.to_vec();
        arguments.extend(["--format", format]);
        let answer = place.run(&arguments, 0);
        assert!(answer.stdout.contains(sign), "{format}: {}", answer.stdout);
        assert!(!answer.stdout.contains('\x1b'), "no colour off a terminal");
    }
}

#[test]
fn a_missing_column_is_named_with_the_one_that_was_meant() {
    let place = with_table();
    let answer = place
        .run(&["score", "--table", "final.csv", "--hyperparameters", "lr,dept", "--gap-column", "good"], 6);
    assert!(answer.stderr.contains("dept") && answer.stderr.contains("depth"), "{}", answer.stderr);
    assert!(answer.stderr.contains("hint: "), "{}", answer.stderr);
}

#[test]
fn unknown_names_are_usage_errors_that_say_what_was_meant() {
    let place = Place::new();
    let answer = place.run(&["explain", "margn"], 2);
    assert!(answer.stderr.contains("hint: did you mean `margin`?"), "{}", answer.stderr);
    let answer = place.run(&["explain", "margin:q=3"], 2);
    assert!(answer.stderr.contains("no parameter `q`"), "{}", answer.stderr);
    let answer = place.run(&["explain", "margin:p=300"], 2);
    assert!(answer.stderr.contains("p=300"), "{}", answer.stderr);
    let answer = place.run(&["zoo", "info", "no_such_zoo"], 2);
    assert!(answer.stderr.contains("no_such_zoo"), "{}", answer.stderr);
    place.run(&["score", "--zoo", "no_such_zoo", "--measure", "family:nroms"], 2);
    place.run(&["scroe"], 2);
    place.run(&["score"], 2);
    place.run(&["predict", "--network", "x", "--inputs", "y", "--output", "z", "--device", "gpu"], 8);
}

#[test]
fn the_registry_lists_and_explains_itself() {
    let place = Place::new();
    let measures = place.run(&["measures", "--format", "json"], 0).json();
    let ids: Vec<&str> =
        measures.as_array().unwrap().iter().map(|row| row["measure"].as_str().unwrap()).collect();
    for id in ["vc_dim", "l2_norm", "distance_from_init", "margin", "jacobian_norm", "random", "constant"] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
        let text = place.run(&["explain", id], 0).stdout;
        for heading in ["Formula", "Shapes", "Paper", "Cost", "Invariances", "Behaviour"] {
            assert!(text.contains(heading), "{id}: {heading}");
        }
    }
}

#[test]
fn manual_completions_and_schema_are_there() {
    let place = Place::new();
    let manual = place.run(&["man"], 0).stdout;
    assert!(manual.contains("EXIT STATUS") && manual.contains(".TH"));
    place.run(&["man", "--dir", "man"], 0);
    assert!(place.path("man/pgdl-score.1").exists());
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&["completions", shell], 0).stdout.contains("pgdl"));
    }
    let schema = place.run(&["schema"], 0).json();
    assert!(schema["properties"]["scores"].is_object());
}

#[test]
fn the_doctor_says_what_is_there() {
    let answer = Place::new().run(&["doctor"], 0);
    for word in ["libtorch", "2.11", "device", "cifar_vgg"] {
        assert!(answer.stdout.contains(word), "{word} in {}", answer.stdout);
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let mut child = place
        .pgdl(&["measures"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_toy_zoo_checks_out_and_scores_as_the_competition_did() {
    let Some(toy) = reference("pgdl_toy") else { return };
    let toy = toy.to_str().unwrap();
    let place = Place::new();
    let report = place.run(&["zoo", "check", toy, "--format", "json"], 0).json();
    let rows = report.as_array().unwrap();
    assert_eq!(rows.len(), 18);

    let list = "l2_norm,distance_from_init,vc_dim,train_loss";
    let arguments = ["score", "--zoo", toy, "--measure", list, "--bootstrap", "0", "--format", "json"];
    let report = place.run(&arguments, 0).json();
    let published = [
        ("l2_norm", 0.100701323909),
        ("distance_from_init", 0.119005118122),
        ("vc_dim", 0.0),
        ("train_loss", 0.063566684915),
    ];
    for (score, (measure, expected)) in report["scores"].as_array().unwrap().iter().zip(published) {
        assert_eq!(score["measure"], measure);
        let found = score["cmi_pgdl"].as_f64().unwrap();
        // The archive prints twelve decimals.
        assert!((found - expected).abs() < 6e-13, "{measure}: {found} against {expected}");
    }
    // A second time nothing is evaluated, and the same is said.
    let again = place.run(&arguments, 0);
    assert!(!again.stderr.contains("evaluating"), "{}", again.stderr);
    let mut first = report.clone();
    let mut second = again.json();
    for report in [&mut first, &mut second] {
        for score in report["scores"].as_array_mut().unwrap() {
            score.as_object_mut().unwrap().remove("seconds");
        }
    }
    assert_eq!(first, second);
}

#[test]
fn archived_predictions_reach_their_archived_scores() {
    let (Some(zoos), Some(predictions)) = (reference("pgdl_public"), reference("pgdl_predictions")) else {
        return;
    };
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(predictions.join("expected.json")).unwrap()).unwrap();
    let place = Place::new();
    let mut compared = 0;
    for task in ["task1_v4", "task2_v1"] {
        let zoo = zoos.join(task);
        let files: Vec<_> = expected
            .as_object()
            .unwrap()
            .keys()
            .map(|measure| predictions.join(measure).join(format!("{task}.predict")))
            .filter(|path| path.exists())
            .collect();
        let mut arguments =
            vec!["score", "--bootstrap", "0", "--format", "json", "--zoo", zoo.to_str().unwrap()];
        arguments.push("--predictions");
        arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
        let report = place.run(&arguments, 0).json();
        for score in report["scores"].as_array().unwrap() {
            let reference = &expected[score["measure"].as_str().unwrap()][task];
            for (ours, theirs) in [
                ("cmi_pgdl", "cmi_min"),
                ("kendall_tau_a", "tau_a"),
                ("kendall_tau_b", "tau_b"),
                ("pearson", "pearson"),
            ] {
                let (Some(ours), Some(theirs)) = (score[ours].as_f64(), reference[theirs].as_f64()) else {
                    continue;
                };
                assert!(
                    (ours - theirs).abs() < 1e-12,
                    "{task} {}: {ours} against {theirs}",
                    score["measure"]
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 40, "only {compared} values compared");
}

#[test]
fn keras_files_give_keras_logits() {
    let Some(keras) = reference("keras") else { return };
    let place = Place::new();
    let files: [(&str, Option<&str>, &str); 7] = [
        ("tfk_gap.keras", None, "tfk_gap_io.npz"),
        ("tfk_gap_model.h5", None, "tfk_gap_io.npz"),
        ("tfk_gap_config.json", Some("tfk_gap_weights.hdf5"), "tfk_gap_io.npz"),
        ("tfk_gap_config.json", Some("tfk_gap.weights.h5"), "tfk_gap_io.npz"),
        ("k3.keras", None, "k3_io.npz"),
        ("k3_legacy.h5", None, "k3_io.npz"),
        ("k3_config.json", Some("k3.weights.h5"), "k3_io.npz"),
    ];
    for (network, weights, io) in files {
        let (network_path, io_path) = (keras.join(network), keras.join(io));
        let inputs = format!("{}:x", io_path.display());
        let mut arguments = vec![
            "predict",
            "--network",
            network_path.to_str().unwrap(),
            "--inputs",
            &inputs,
            "--output",
            "out.npy",
        ];
        let weights = weights.map(|name| keras.join(name));
        if let Some(weights) = &weights {
            arguments.extend(["--weights", weights.to_str().unwrap()]);
        }
        place.run(&arguments, 0);
        let found = pgdl_zoo::data::npy::read_npy(&place.path("out.npy")).unwrap();
        let expected = pgdl_zoo::data::npy::read_at(&format!("{}:act/logits", io_path.display())).unwrap();
        let difference = (found - expected).abs().max().double_value(&[]);
        assert!(difference < 1e-5, "{network}: {difference}");
    }
}

#[test]
fn the_zoo_that_comes_along_is_sound_and_keeps_its_rules() {
    let place = Place::new();
    let rows = place.run(&["zoo", "check", "cifar_vgg", "--no-accuracy", "--format", "json"], 0).json();
    assert_eq!(rows.as_array().unwrap().len(), 64);
    let rows = place.run(&["zoo", "info", "cifar_vgg", "--format", "json"], 0).json();
    let column = |name: &str| -> Vec<f64> {
        rows.as_array().unwrap().iter().map(|row| row[name].as_f64().unwrap()).collect()
    };
    assert!(column("train_acc").iter().all(|accuracy| *accuracy > 0.95));
    let gaps = column("gap");
    let spread =
        gaps.iter().copied().fold(f64::MIN, f64::max) - gaps.iter().copied().fold(f64::MAX, f64::min);
    assert!(spread >= 0.05, "{spread}");
}

#[test]
fn a_zoo_is_built_checked_exported_and_scored() {
    let place = Place::new();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../../model_zoo/toy_mlp/recipe.toml");
    place.run(&["zoo", "build", recipe, "--output", "toy", "--device", "cpu"], 0);
    place.run(&["zoo", "build", recipe, "--output", "toy", "--device", "cpu"], 3);
    place.run(&["zoo", "check", "toy"], 0);
    place.run(&["zoo", "export", "toy", "exported"], 0);
    let list = "l2_norm,margin,jacobian_norm,random";
    let report = |zoo: &str| {
        let mut report = place.run(&["score", "--zoo", zoo, "--measure", list, "--format", "json"], 0).json();
        for score in report["scores"].as_array_mut().unwrap() {
            score.as_object_mut().unwrap().remove("seconds");
        }
        report["scores"].take()
    };
    assert_eq!(report("toy"), report("exported/input_data/toy"));
}
