//! Plugins as submissions: strangers' crates, compiled and run where they learn nothing and can do nothing.

use std::fs;

use serde_json::Value;

use crate::plugins::{Bench, MEASURE, plugin_of};
use crate::small_zoo;
use crate::support::Answer;

fn rules(bench: &Bench) {
    small_zoo::copy_to(&bench.path("small"));
    let rules = "name = \"test\"\nseconds_per_network = 60\n\n[phase.development]\nzoos = [\"small\"]\nsubmissions_per_day = 9\n";
    bench.write("rules.toml", rules);
}

fn submit(bench: &Bench, plugin: &str, further: &[&str], exit: i32) -> Answer {
    let mut arguments =
        vec!["submit", plugin, "--rules", "rules.toml", "--board", "board", "--device", "cpu"];
    arguments.extend(["--jobs", "2", "--format", "json"]);
    arguments.extend(further);
    bench.run(&arguments, exit)
}

/// The last line of the ledger.
fn entry(bench: &Bench) -> Value {
    let ledger = fs::read_to_string(bench.path("board/ledger.jsonl")).unwrap();
    serde_json::from_str(ledger.lines().last().unwrap()).unwrap()
}

/// The values that the last submission had.
fn values(bench: &Bench) -> Vec<f64> {
    let folders = fs::read_dir(bench.path("board/submissions")).unwrap().flatten();
    let last = folders.map(|folder| folder.path()).max().unwrap();
    let text = fs::read_to_string(last.join("small.predict")).unwrap();
    let values: Value = serde_json::from_str(&text).unwrap();
    values.as_object().unwrap().values().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn a_plugin_is_scored_in_the_sandbox_with_the_values_that_it_has_outside_and_sees_no_more() {
    let bench = Bench::new("submitted");
    rules(&bench);
    let gaps = bench.path("small/model_configs.json");
    let margin = "let margins = probe.get(&Margins)?; println!(\"what a measure prints is talk\"); \
                  Ok(Measured::value(-margins.f_mean(tch::Kind::Double)?.f_double_value(&[])?))";
    // What it sees of its own, and of what it must not see, as binary digits.
    let looks = format!(
        "let seen = [std::fs::read(\"/proc/self/exe\").is_ok(), std::fs::read({gaps:?}).is_ok(), \
         std::net::UdpSocket::bind(\"127.0.0.1:0\").and_then(|it| it.connect(\"192.0.2.1:9\")).is_ok(), \
         probe.network_id() != 0]; \
         Ok(Measured::value(seen.iter().rev().fold(0.0, |sum, &yes| 2.0 * sum + f64::from(u8::from(yes)))))"
    );
    let bodies = [("mean_margin", margin), ("looks", &looks), ("panics", "panic!(\"out of luck\")")];
    bench.write_crate("entrant", MEASURE, &plugin_of(&bodies));

    let several = submit(&bench, "entrant", &[], 2);
    assert!(several.stderr.contains("entrant is several measures"), "{}", several.stderr);
    assert!(
        several.stderr.contains("--measure names one of mean_margin, looks, panics"),
        "{}",
        several.stderr
    );

    let board = submit(&bench, "entrant", &["--measure", "mean_margin"], 0).json();
    assert_eq!((&board[0]["name"], &board[0]["verdict"]), (&"entrant".into(), &"scored".into()));
    let inside = values(&bench);
    let zoo = bench.path("small");
    let outside = bench.run(
        &[
            "eval",
            "--plugin",
            "entrant",
            "--measure",
            "mean_margin",
            "--zoo",
            zoo.to_str().unwrap(),
            "--device",
            "cpu",
            "--format",
            "json",
        ],
        0,
    );
    let outside: Vec<f64> =
        outside.json().as_array().unwrap().iter().map(|row| row["value"].as_f64().unwrap()).collect();
    // The file has the competition's nine decimals.
    assert_eq!((inside.len(), outside.len()), (4, 4));
    for (one, other) in inside.iter().zip(&outside) {
        assert!((one - other).abs() <= 1e-9 * other.abs().max(1.0), "{inside:?} {outside:?}");
    }

    submit(&bench, "entrant", &["--measure", "looks"], 0);
    assert_eq!(values(&bench), [1.0; 4], "it sees itself and nothing else");
    submit(&bench, "entrant", &["--measure", "panics"], 4);
    let entry = entry(&bench);
    assert_eq!(entry["verdict"], "failed");
    assert!(entry["reason"].as_str().unwrap().contains("out of luck"), "{}", entry["reason"]);
}

#[test]
fn what_runs_or_reads_while_a_plugin_is_compiled_is_refused() {
    let bench = Bench::new("submitted_compiled");
    rules(&bench);
    let measure = plugin_of(&[("cunning", "Ok(Measured::value(1.0))")]);
    let owned = bench.path("owned");

    // A build script, and one of a crate that the plugin brings along.
    let script = format!("fn main() {{ std::fs::write({owned:?}, \"\").unwrap(); }}\n");
    bench.write_crate("cunning", MEASURE, &measure);
    bench.write("cunning/build.rs", &script);
    let answer = submit(&bench, "cunning", &[], 7);
    assert!(answer.stderr.contains("brings a build script in cunning"), "{}", answer.stderr);
    fs::remove_file(bench.path("cunning/build.rs")).unwrap();
    bench.write_crate("helper", "", "");
    bench.write(
        "helper/Cargo.toml",
        "[package]\nname = \"serde_derive\"\nversion = \"9.0.0\"\n[lib]\nproc-macro = true\n",
    );
    bench.write_crate("cunning", &format!("{MEASURE}\nserde_derive = {{ path = \"../helper\" }}"), &measure);
    let answer = submit(&bench, "cunning", &[], 7);
    assert!(answer.stderr.contains("procedural macros in serde_derive"), "{}", answer.stderr);
    assert!(answer.stderr.contains("hint: "), "{}", answer.stderr);

    // Settings of cargo that name a program, and a file that the compiler would read.
    bench.write("evil", &format!("#!/bin/sh\ntouch '{}'\nexec rustc \"$@\"\n", owned.display()));
    let settings = format!("[build]\nrustc = {0:?}\nrustc-wrapper = {0:?}\n", bench.path("evil"));
    bench.write("cunning/.cargo/config.toml", &settings);
    let gaps = bench.path("small/model_configs.json");
    assert!(gaps.exists());
    let text = format!("{measure}pub const GAPS: &str = include_str!({gaps:?});\n");
    bench.write_crate("cunning", MEASURE, &text);
    let answer = submit(&bench, "cunning", &[], 7);
    assert!(answer.stderr.contains("No such file or directory"), "{}", answer.stderr);
    assert!(answer.stderr.contains("plugin cunning does not compile"), "{}", answer.stderr);
    assert!(!owned.exists(), "something of the plugin ran");
    assert!(!bench.path("board/ledger.jsonl").exists(), "what does not compile is no submission");
}
