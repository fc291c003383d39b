//! Strangers' programs in the sandbox, as its user meets it. (What they see and what becomes of attacks is tested in
//! `pgdl-external`.)

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::executables::{rows, script};
use crate::small_zoo;
use crate::support::{Answer, Place};

/// Evaluates a program in the sandbox on the first of four networks.
fn eval(place: &Place, program: &Path, further: &[&str], exit: i32) -> Answer {
    let program = program.to_str().unwrap();
    let mut arguments =
        vec!["eval", "--zoo", "small", "--device", "cpu", "--format", "json", "--shard", "1/4"];
    arguments.extend(["--jobs", "1", "--sandbox", "--executable", program]);
    arguments.extend(further);
    place.run(&arguments, exit)
}

/// The processes that have the marker, the place of the test, in their command line or environment.
fn marked(marker: &str) -> Vec<String> {
    let holds = |path: &Path| {
        ["cmdline", "environ"].iter().any(|file| {
            let bytes = std::fs::read(path.join(file)).unwrap_or_default();
            bytes.windows(marker.len()).any(|window| window == marker.as_bytes())
        })
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| holds(&entry.path()));
    processes.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Nothing of a test runs any more. What the kernel has ended may take a moment to vanish.
fn assert_nothing_left(marker: &str) {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let left = marked(marker);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "left running: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_zoo_is_hidden_even_where_a_program_may_look() {
    let place = small_zoo::place();
    let seen = place.path("");
    assert!(place.path("small/model_configs.json").exists());
    let body = format!("printf '{{\"value\":%s}}' \"$(ls '{}small' | wc -l)\"", seen.display());
    let program = script(&place, "peeks", &body);
    let answer = eval(&place, &program, &["--sandbox-read", seen.to_str().unwrap()], 0);
    assert_eq!(rows(&answer)[0]["value"], 0.0, "the zoo's folder is empty inside");
}

#[test]
fn an_attack_costs_its_own_record_and_the_run_goes_on() {
    let place = small_zoo::place();
    let bomb = script(&place, "bomb", "bomb() { bomb | bomb & wait; }\nbomb & exec sleep 100");
    let good = script(&place, "good", "echo '{\"value\":1}'");
    let further = ["--executable", good.to_str().unwrap()];
    let answer = eval(&place, &bomb, &further, 4);
    let rows = rows(&answer);
    let of = |id: &str| rows.iter().find(|row| row["measure"] == id).unwrap();
    assert_eq!((&of("bomb")["status"], &of("good")["status"]), (&"failed".into(), &"ok".into()));
    let message = of("bomb")["message"].as_str().unwrap();
    assert!(message.contains("processes and threads, and was ended"), "{message}");
}

#[test]
fn what_a_terminal_would_obey_is_not_passed_on() {
    let place = small_zoo::place();
    let program = script(&place, "paints", "printf '\\033[2J\\033]0;owned\\007red\\n' >&2; exit 1");
    let answer = eval(&place, &program, &[], 4);
    assert!(!answer.stderr.contains('\u{1b}') && !answer.stderr.contains('\u{7}'), "{:?}", answer.stderr);
    assert!(answer.stderr.contains("paints: "), "{}", answer.stderr);
}

#[test]
fn when_pgdl_is_killed_nothing_stays_behind() {
    let place = small_zoo::place();
    let body = "for i in 1 2 3; do sleep 1000 & done; MARKER=inside_orphan exec sleep 1000";
    let program = script(&place, "orphan", body);
    let program = program.to_str().unwrap();
    let arguments = ["eval", "--zoo", "small", "--device", "cpu", "--sandbox", "--executable", program];
    let mut pgdl = place.pgdl(&arguments);
    pgdl.env("PLACE", place.path("")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = pgdl.spawn().unwrap();
    let runs = || !marked("inside_orphan").is_empty();
    let until = Instant::now() + Duration::from_secs(60);
    while !runs() {
        assert!(Instant::now() < until, "it never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_nothing_left("inside_orphan");
    assert_nothing_left(place.path("").to_str().unwrap());
}
