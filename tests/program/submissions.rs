//! Submissions of 2020 through real Keras: the examples, against the built-in measures. Needs a Python with TensorFlow
//! and tf-keras in `PGDL_KERAS_PYTHON`; `scripts/interchange` makes one and runs this.

use std::path::Path;

use serde_json::Value;

use crate::small_zoo;
use crate::support::Place;

fn examples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/submissions")
}

/// The values of two measures, network by network.
fn pairs(rows: &[Value], submission: &str, built_in: &str) -> Vec<(f64, f64)> {
    let of = |measure: &str| -> Vec<f64> {
        let rows = rows.iter().filter(|row| row["measure"] == measure);
        rows.map(|row| row["value"].as_f64().unwrap_or_else(|| panic!("{row}"))).collect()
    };
    let (theirs, ours) = (of(submission), of(built_in));
    assert_eq!((theirs.len(), ours.len()), (2, 2));
    theirs.into_iter().zip(ours).collect()
}

#[test]
#[ignore = "needs TensorFlow: run scripts/interchange"]
fn the_kits_baselines_give_what_the_built_in_measures_give() {
    let place = small_zoo::place();
    // Two of the four networks, one of each depth: TensorFlow takes its time to start.
    let mut arguments: Vec<String> =
        ["eval", "--zoo", "small", "--device", "cpu", "--format", "json", "--shard", "1/2"]
            .map(str::to_owned)
            .to_vec();
    let names = ["vc_dimension", "l2_norm", "distance_from_init", "jacobian_norm", "sharpness"];
    let mut measures = "vc_dim,l2_norm,distance_from_init,jacobian_norm:samples=50".to_owned();
    for name in names {
        arguments.extend(["--submission".to_owned(), examples().join(name).to_str().unwrap().to_owned()]);
        measures.push_str(&format!(",submission_{name}"));
    }
    arguments.extend(["--measure".to_owned(), measures]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let answer = place.run(&arguments, 0);
    let json = answer.json();
    let rows = json.as_array().unwrap();
    for (submission, built_in, tolerance) in [
        ("submission_vc_dimension", "vc_dim", 1e-15),
        ("submission_l2_norm", "l2_norm", 1e-12),
        ("submission_distance_from_init", "distance_from_init", 1e-12),
        // Single precision, through two libraries' convolutions.
        ("submission_jacobian_norm", "jacobian_norm:samples=50", 1e-4),
    ] {
        for (theirs, ours) in pairs(rows, submission, built_in) {
            assert!((theirs - ours).abs() <= tolerance * ours.abs(), "{submission}: {theirs} against {ours}");
        }
    }
    let sharpness: Vec<&Value> = rows.iter().filter(|row| row["measure"] == "submission_sharpness").collect();
    assert!(sharpness.iter().all(|row| row["status"] == "ok"));
}

#[test]
#[ignore = "needs TensorFlow: run scripts/interchange"]
fn what_goes_wrong_in_a_submission_is_its_records_reason() {
    let place = small_zoo::place();
    let submit = |name: &str, code: &str, words: &str, status: &str| {
        let folder = place.path(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("complexity.py"), code).unwrap();
        let folder = folder.to_str().unwrap();
        let answer = place.run(
            &[
                "eval",
                "--zoo",
                "small",
                "--device",
                "cpu",
                "--format",
                "json",
                "--shard",
                "1/4",
                "--submission",
                folder,
            ],
            4,
        );
        let row = answer.json()[0].clone();
        assert_eq!(row["status"], status, "{row}");
        assert!(row["message"].as_str().unwrap().contains(words), "{row}");
    };
    submit(
        "raises",
        "def complexity(model, dataset):\n    return model.nonsense\n",
        "AttributeError",
        "failed",
    );
    submit("nan", "def complexity(model, dataset):\n    return float('nan')\n", "returned nan", "undefined");
    submit("empty", "x = 1\n", "cannot import name 'complexity'", "failed");
    submit(
        "third",
        "import os\ndef complexity(model, dataset, program_dir, factor=2):\n    print('talk')\n    \
         return 'no number ' + str(os.listdir(program_dir)) + str(factor)\n",
        "no number ['complexity.py']2",
        "failed",
    );
}

#[test]
fn without_tensorflow_a_submission_is_refused_with_a_hint() {
    let place = Place::new();
    let submission = examples().join("l2_norm");
    let mut command = place.pgdl(&["score", "--zoo", "any", "--submission", submission.to_str().unwrap()]);
    command.env_remove("PGDL_KERAS_PYTHON").env("PGDL_CACHE_DIR", place.path("cache"));
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{words}");
    assert!(words.contains("none is installed for pgdl"), "{words}");
    assert!(words.contains("hint: `scripts/interchange`"), "{words}");
}
