//! Programs as measures: any program that speaks the protocol of docs/executables.md.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::small_zoo;
use crate::support::{Answer, Place};

/// A shell script as a measure with this id; `evaluate` is its whole computation, with the job's path in `$2`.
pub fn script(place: &Place, id: &str, evaluate: &str) -> PathBuf {
    let description = format!(
        r#"{{"protocol":1,"measures":[{{"id":"{id}","title":"A test.","formula":"f","stochastic":false}}]}}"#
    );
    let text =
        format!("#!/bin/sh\nif [ \"$1\" = describe ]; then echo '{description}'; exit; fi\n{evaluate}\n");
    program(&place.path(id), &text)
}

fn program(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// The statuses of a run, and the message of the first record.
pub fn outcome(answer: &Answer) -> (Vec<String>, String) {
    let rows = rows(answer);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    (rows.iter().map(|row| text(row, "status")).collect(), text(&rows[0], "message"))
}

pub fn rows(answer: &Answer) -> Vec<Value> {
    answer.json().as_array().expect("a list of rows").clone()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn eval(place: &Place, program: &Path, further: &[&str], exit: i32) -> Answer {
    let program = program.to_str().unwrap();
    let mut arguments = vec!["eval", "--zoo", "small", "--device", "cpu", "--format", "json", "--jobs", "1"];
    arguments.extend(["--executable", program]);
    arguments.extend(further);
    place.run(&arguments, exit)
}

#[test]
fn a_program_is_a_measure_like_any_other() {
    let place = small_zoo::place();
    let example = example("executables/l1_norm");
    let answer = eval(&place, &example, &[], 0);
    let rows = rows(&answer);
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let id = row["network"].as_str().unwrap();
        let zoo = pgdl_zoo::Zoo::open(place.path("small")).unwrap();
        let network = zoo.load(id.parse().unwrap()).unwrap();
        let sum: f64 = network
            .trainable_tensors()
            .iter()
            .map(|tensor| {
                let tensor = tensor.to_kind(pgdl_measure::tch::Kind::Double);
                tensor.abs().sum(pgdl_measure::tch::Kind::Double).double_value(&[])
            })
            .sum();
        let value = row["value"].as_f64().unwrap();
        assert!((value - sum).abs() <= 1e-12 * sum, "network {id}: {value} against {sum}");
    }
    // In a sandbox it gives the same, from the records: what it is decides, not how it ran.
    let again = eval(&place, &example, &["--sandbox", "--force"], 0);
    assert_eq!(rows_without_time(&answer), rows_without_time(&again));
    // And it is scored beside built-in measures.
    let program = example.to_str().unwrap();
    let scored = place.run(
        &[
            "score",
            "--zoo",
            "small",
            "--executable",
            program,
            "--measure",
            "l1_norm,l2_norm",
            "--format",
            "json",
        ],
        0,
    );
    let report = scored.json();
    let scores = report["scores"].as_array().unwrap();
    let mut names: Vec<&str> = scores.iter().map(|score| score["measure"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["l1_norm", "l2_norm"]);
}

fn rows_without_time(answer: &Answer) -> Vec<Value> {
    let mut rows = rows(answer);
    for row in &mut rows {
        row.as_object_mut().unwrap().retain(|key, _| key != "seconds");
    }
    rows
}

#[test]
fn an_edited_program_is_evaluated_anew_and_an_unchanged_one_is_not() {
    let place = small_zoo::place();
    let count = place.path("count");
    let body = |value: &str| format!("echo x >> {}; echo '{{\"value\": {value}}}'", count.display());
    let one = script(&place, "counted", &body("1"));
    eval(&place, &one, &[], 0);
    eval(&place, &one, &[], 0);
    let starts = || std::fs::read_to_string(&count).unwrap().lines().count();
    assert_eq!(starts(), 4, "the second run found records");
    let two = script(&place, "counted", &body("2"));
    let answer = eval(&place, &two, &[], 0);
    assert_eq!(starts(), 8);
    assert!(rows(&answer).iter().all(|row| row["value"] == 2.0));
    let records = small_zoo::records(&place);
    let digests: std::collections::BTreeSet<&str> =
        records.iter().map(|record| record["details"]["program_digest"].as_str().unwrap()).collect();
    assert_eq!(digests.len(), 2);
    for record in &records {
        let digest = record["details"]["program_digest"].as_str().unwrap();
        assert_eq!(record["version"], u32::from_str_radix(&digest[..8], 16).unwrap());
    }
}

#[test]
fn every_way_to_give_no_value_is_a_status_with_its_reason() {
    let place = small_zoo::place();
    for (id, body, further, status, reason) in [
        ("says_undefined", r#"echo '{"status":"undefined","reason":"ln 0"}'"#, &[][..], "undefined", "ln 0"),
        (
            "says_unavailable",
            r#"echo '{"status":"unavailable","reason":"no x"}'"#,
            &[],
            "unavailable",
            "no x",
        ),
        ("says_nan", r#"echo '{"value": NaN}'"#, &[], "failed", "NaN and infinities are no JSON"),
        ("says_nothing", ":", &[], "failed", "printed nothing"),
        ("exits", "echo because >&2; exit 3", &[], "failed", "exit code 3; its last words: because"),
        ("dies", "kill -SEGV $$", &[], "crashed", "crashed (SIGSEGV)"),
        ("floods", "yes", &[], "failed", "flooded its standard output"),
        (
            "never_ends",
            "while :; do :; done",
            &["--budget", "1s", "--budget-per", "measure"],
            "timeout",
            "exceeded the budget of 1 s",
        ),
    ] {
        let program = script(&place, id, body);
        let answer = eval(&place, &program, further, 4);
        let (statuses, message) = outcome(&answer);
        assert_eq!(statuses, [status; 4], "{id}: {message}");
        assert!(message.contains(reason), "{id}: {message}");
    }
}

#[test]
fn what_does_not_speak_the_protocol_is_refused_before_anything_runs() {
    let place = small_zoo::place();
    let refused = |program: &Path, words: &str| {
        let program = program.to_str().unwrap();
        let answer = place.run(&["eval", "--zoo", "small", "--executable", program], 7);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
        assert!(answer.stderr.lines().any(|line| line.starts_with("hint: ")) || words.contains("No such"));
    };
    refused(&program(&place.path("silent"), "#!/bin/sh\n"), "it printed nothing");
    refused(&program(&place.path("hello"), "#!/bin/sh\necho hello\n"), "expected value");
    refused(&program(&place.path("newer"), "#!/bin/sh\necho '{\"protocol\":2}'\n"), "speaks protocol 2");
    refused(
        &program(&place.path("fails"), "#!/bin/sh\necho no >&2; exit 1\n"),
        "exit code 1; its last words: no",
    );
    refused(&place.path("absent"), "No such file");
    let taken = script(&place, "l2_norm", "echo '{\"value\":1}'");
    refused(&taken, "registered twice");
    let plain = place.path("plain");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    refused(&plain, "is it executable?");
}

#[test]
fn a_job_holds_what_the_protocol_promises() {
    let place = small_zoo::place();
    let kept = place.path("kept");
    std::fs::create_dir(&kept).unwrap();
    let body = format!(
        "cp \"$2\" {0}/job.json; cp -r \"$(dirname \"$2\")\" {0}/; echo '{{\"value\":1}}'",
        kept.display()
    );
    let program = script(&place, "keeps", &body);
    let needy = std::fs::read_to_string(&program).unwrap();
    std::fs::write(&program, needy.replace(r#""stochastic""#, r#""needs":["initial_weights"],"stochastic""#))
        .unwrap();
    eval(&place, &program, &["--budget", "100s", "--budget-per", "measure", "--sample", "10"], 0);
    let job: Value = serde_json::from_slice(&std::fs::read(kept.join("job.json")).unwrap()).unwrap();
    assert_eq!(
        (&job["protocol"], &job["measure"], &job["device"]),
        (&1.into(), &"keeps".into(), &"cpu".into())
    );
    assert_eq!(job["data"]["inputs"]["shape"], serde_json::json!([10, 8, 8, 3]));
    assert_eq!(job["data"]["labels"]["dtype"], "int32");
    assert_eq!(job["data"]["train_size"], 96);
    let seconds = job["seconds"].as_f64().unwrap();
    assert!(seconds > 90.0 && seconds < 100.0, "{seconds}");
    assert!(job["initial_weights"].is_string());
    // The files are the zoo's last network, bit for bit, final and initial, as HDF5 and tensor by tensor.
    let zoo = pgdl_zoo::Zoo::open(place.path("small")).unwrap();
    let last = zoo.networks().last().unwrap().id;
    let initial = zoo.load_initial(last).unwrap().unwrap();
    for (original, weights, list, raw) in [
        (zoo.load(last).unwrap(), "weights.hdf5", "parameters", "weights.raw"),
        (initial, "weights_init.hdf5", "initial_parameters", "weights_init.raw"),
    ] {
        let folder = kept.join("network");
        let read = pgdl_zoo::keras::read_network(&folder, Some(&folder.join(weights))).unwrap();
        let bytes = std::fs::read(folder.join(raw)).unwrap();
        let described = job[list].as_array().unwrap();
        assert_eq!(described.len(), original.parameters().count());
        for ((one, other), parameter) in original.parameters().zip(read.parameters()).zip(described) {
            assert_eq!(one.tensor, other.tensor);
            assert_eq!(parameter["name"], one.spec.name);
            let array = &parameter["array"];
            assert_eq!(array["shape"], serde_json::json!(one.tensor.size()));
            let offset = array["offset"].as_u64().unwrap() as usize;
            let values: Vec<f32> = bytes[offset..offset + 4 * one.tensor.numel()]
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                .collect();
            assert_eq!(Vec::<f32>::try_from(&one.tensor.flatten(0, -1)).unwrap(), values);
        }
    }
    // Nothing of it tells an accuracy.
    let files: Vec<_> =
        std::fs::read_dir(kept.join("network")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 6, "{files:?}");
}
