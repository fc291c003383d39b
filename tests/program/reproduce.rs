//! Reproductions: manifests, committed results, shards, and runs that are disturbed.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::manifests::{EVALUATED, essences, with_manifest};
use crate::small_zoo::{self, NETWORKS};
use crate::support::Place;

const REPRODUCE: [&str; 2] = ["reproduce", "results/small.toml"];

fn reproduce(place: &Place, more: &[&str], exit: i32) -> crate::support::Answer {
    let answer = place.run(&[&REPRODUCE, more].concat(), exit);
    assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
    if !matches!(exit, 0 | 9) {
        assert!(answer.stderr.contains("error: ") && answer.stderr.contains("hint: "), "{}", answer.stderr);
    }
    answer
}

fn records(place: &Place, run: &str) -> PathBuf {
    place.path(run).join("small/records.jsonl")
}

#[test]
fn results_are_made_reproduced_and_told_apart() {
    let place = with_manifest();
    let answer = reproduce(&place, &["--run", "run"], 6);
    assert!(answer.stderr.contains("--update writes them"), "{}", answer.stderr);
    assert!(!place.path("run").exists(), "it fails before the long work");

    reproduce(&place, &["--run", "run", "--update"], 0);
    for file in ["board.md", "provenance.json", "records.jsonl.gz", "small.csv", "small.md"] {
        assert!(place.path("results/small").join(file).exists(), "{file}");
    }
    let answer = reproduce(&place, &["--run", "run"], 0);
    assert!(!answer.stderr.contains("evaluating"), "nothing lacks: {}", answer.stderr);
    assert!(answer.stderr.contains("reproduced (balanced)") && answer.stdout.is_empty(), "{}", answer.stderr);

    // From nothing, in another order of work: the same bytes.
    reproduce(&place, &["--run", "again", "--jobs", "3", "--level", "strict"], 0);
    assert_eq!(essences(&records(&place, "run")), essences(&records(&place, "again")));
    reproduce(&place, &["--from-records"], 0);

    // One committed figure is changed.
    let table = place.path("results/small/small.csv");
    let sound = std::fs::read_to_string(&table).unwrap();
    let mut rows = csv_rows(&sound);
    let column = rows[0].iter().position(|name| name == "spearman").unwrap();
    let row = rows.iter().position(|row| row[0] == "weight_per_width").expect("the composite is scored");
    let former: f64 = rows[row][column].parse().unwrap();
    rows[row][column] = (former - 0.1).to_string();
    std::fs::write(&table, rows.iter().map(|row| row.join(",") + "\n").collect::<String>()).unwrap();
    let differences = reproduce(&place, &["--run", "run", "--format", "json"], 9).json();
    let [difference] = differences.as_array().unwrap().as_slice() else { panic!("{differences}") };
    assert_eq!(difference["measure"], "weight_per_width");
    assert_eq!(difference["what"], "spearman");
    assert!((difference["difference"].as_f64().unwrap() - 0.1).abs() < 1e-9);
    assert!(difference["why"].as_str().unwrap().starts_with("none known"), "{difference}");
    reproduce(&place, &["--run", "run", "--level", "loose"], 0);
    let stale = reproduce(&place, &["--from-records"], 9);
    assert!(stale.stdout.contains("small.csv"), "{}", stale.stdout);
    reproduce(&place, &["--run", "run", "--update"], 0);
    assert_eq!(std::fs::read_to_string(&table).unwrap(), sound, "the same records make the same bytes");
}

fn csv_rows(text: &str) -> Vec<Vec<String>> {
    assert!(!text.contains('"'), "no field needs quotes");
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_value_that_is_off_has_a_reason() {
    let place = with_manifest();
    reproduce(&place, &["--run", "run", "--update"], 0);
    let path = records(&place, "run");
    // As if another libtorch had computed one value otherwise.
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            if record["measure"] == "margin" {
                record["libtorch_version"] = "9.9.9".into();
                let value = record["value"].as_f64().unwrap();
                if record["network"] == 2 {
                    record["value"] = (value * 1.01).into();
                }
            }
            record.to_string() + "\n"
        })
        .collect();
    std::fs::write(&path, lines.concat()).unwrap();
    let differences = reproduce(&place, &["--run", "run", "--format", "json"], 9).json();
    let of_values: Vec<&serde_json::Value> =
        differences.as_array().unwrap().iter().filter(|row| row["what"] == "value of network 2").collect();
    assert_eq!(of_values.len(), 1, "{differences}");
    assert_eq!(of_values[0]["measure"], "margin");
    assert_eq!(of_values[0]["why"], "libtorch 9.9.9, not 2.11.0");
}

#[test]
fn what_a_manifest_names_wrongly_is_named() {
    let place = with_manifest();
    let manifest = place.path("results/small.toml");
    let sound = std::fs::read_to_string(&manifest).unwrap();
    for (from, to, sign) in [
        ("\"margin\"", "\"margn\"", "did you mean `margin`?"),
        ("\"margin\"", "\"family:nroms\"", "nroms"),
        ("l2_norm / params", "l2_norm / prams", "params"),
        ("path = \"../zoos/small\"", "path = \"../zoos/none\"", "none"),
        ("path = \"../zoos/small\"\n", "", "small"),
        ("measures", "mesures", "unknown field `mesures`"),
        ("schema = 1", "schema = 2", "newer"),
        ("digest = \"", "digest = \"z", "digest"),
    ] {
        assert!(sound.contains(from), "{from}");
        std::fs::write(&manifest, sound.replacen(from, to, 1)).unwrap();
        let answer = reproduce(&place, &["--update"], 6);
        assert!(
            answer.stderr.contains("results/small.toml") && answer.stderr.contains(sign),
            "{}",
            answer.stderr
        );
    }
    std::fs::remove_file(&manifest).unwrap();
    reproduce(&place, &[], 6);
}

#[test]
fn a_zoo_that_changed_is_another_zoo() {
    let place = with_manifest();
    reproduce(&place, &["--run", "run", "--update"], 0);
    let before = std::fs::read(place.path("results/small/records.jsonl.gz")).unwrap();
    let listing = place.path("zoos/small/model_configs.json");
    let text = std::fs::read_to_string(&listing).unwrap();
    std::fs::write(&listing, text.replacen("\"test_acc\": 0.", "\"test_acc\": 0.0", 1)).unwrap();
    let answer = reproduce(&place, &["--run", "run", "--update"], 6);
    assert!(answer.stderr.contains("its digest is"), "{}", answer.stderr);
    assert_eq!(std::fs::read(place.path("results/small/records.jsonl.gz")).unwrap(), before);
}

#[test]
fn damaged_results_and_records_are_named_and_left_alone() {
    let place = with_manifest();
    reproduce(&place, &["--run", "run", "--update"], 0);
    let damage = |file: &Path, bytes: &[u8], arguments: &[&str], sign: &str| {
        let sound = std::fs::read(file).unwrap();
        std::fs::write(file, bytes).unwrap();
        let answer = reproduce(&place, arguments, 6);
        assert!(answer.stderr.contains(sign), "{sign} in {}", answer.stderr);
        assert_eq!(std::fs::read(file).unwrap(), bytes, "left alone");
        std::fs::write(file, sound).unwrap();
    };
    let table = place.path("results/small/small.csv");
    let text = std::fs::read_to_string(&table).unwrap();
    damage(&table, text.replacen("spearman", "spearmint", 1).as_bytes(), &["--run", "run"], "`spearman`");
    let archive = place.path("results/small/records.jsonl.gz");
    let bytes = std::fs::read(&archive).unwrap();
    damage(&archive, &bytes[..bytes.len() - 9], &["--run", "run"], "records.jsonl.gz");
    let newer = b"{\"schema\":99,\"later\":true}\n";
    damage(&archive, newer, &["--run", "run"], "schema 99 is newer");
    let run = records(&place, "run");
    let mut lines = std::fs::read(&run).unwrap();
    lines.extend_from_slice(newer);
    damage(&run, &lines, &["--run", "run"], "schema 99 is newer");

    // Half a line at the end is what a sudden end leaves: it is moved aside, and evaluated again.
    let whole = std::fs::read(&run).unwrap();
    std::fs::write(&run, &whole[..whole.len() - 40]).unwrap();
    let answer = reproduce(&place, &["--run", "run", "--level", "strict"], 0);
    assert!(answer.stderr.contains("evaluating 1 values"), "{}", answer.stderr);
    assert_eq!(essences(&run).len(), NETWORKS * EVALUATED);
}

#[test]
fn a_killed_reproduction_goes_on_where_it_stopped() {
    let place = with_manifest();
    reproduce(&place, &["--run", "whole", "--update"], 0);
    let arguments = [&REPRODUCE[..], &["--run", "killed", "--jobs", "1", "--level", "strict"]].concat();
    let path = records(&place, "killed");
    let mut kills = 0;
    // Again and again, each time as soon as it has got a little further.
    for more in [3, 9, 20] {
        let mut child = spawn(&place, &arguments);
        let reached = wait_until(|| lines(&path) >= more || has_ended(&mut child));
        assert!(reached, "no progress");
        child.kill().unwrap();
        kills += usize::from(child.wait().unwrap().signal() == Some(9));
    }
    assert!(kills > 0, "it was killed at least once before its end");
    let kept = lines(&path);
    assert!(kept >= 3, "what was recorded stands");
    let answer = reproduce(&place, &arguments[2..], 0);
    assert!(answer.stderr.contains("reproduced (strict)"), "{}", answer.stderr);
    assert_eq!(essences(&path), essences(&records(&place, "whole")), "each evaluation once, the same bytes");
}

#[test]
fn two_processes_on_one_folder_share_the_work() {
    let place = with_manifest();
    let arguments = [&REPRODUCE[..], &["--run", "shared", "--jobs", "1", "--shard", "1/1"]].concat();
    let children = [spawn(&place, &arguments), spawn(&place, &arguments)];
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let lines = essences(&records(&place, "shared"));
    assert_eq!(lines.len(), NETWORKS * EVALUATED, "nothing twice, nothing torn");
    reproduce(&place, &["--run", "shared", "--update"], 0);
    reproduce(&place, &["--from-records"], 0);
}

#[test]
fn merged_shards_are_the_whole_run_and_are_written_for_other_programs() {
    let place = with_manifest();
    reproduce(&place, &["--run", "whole", "--update"], 0);
    for shard in ["1/3", "2/3", "3/3"] {
        reproduce(&place, &["--shard", shard, "--run", &format!("part-{}", &shard[..1])], 0);
    }
    let inputs = ["part-1/small", "part-2/small", "part-3/small/records.jsonl"];
    place.run(&[&["merge"], &inputs[..], &["--into", "merged/small"]].concat(), 0);
    let answer = reproduce(&place, &["--run", "merged", "--level", "strict"], 0);
    assert!(!answer.stderr.contains("evaluating"), "{}", answer.stderr);
    assert_eq!(essences(&records(&place, "merged")), essences(&records(&place, "whole")));
    let again = place.run(&["merge", "part-1/small", "--into", "merged/small"], 0);
    assert!(again.stderr.contains(" 0 records appended"), "{}", again.stderr);

    for name in ["all.jsonl", "all.jsonl.gz", "all.csv", "all.parquet", "all.json"] {
        place.run(&[&["merge"], &inputs[..], &["--output", name]].concat(), 0);
    }
    assert_eq!(essences(&place.path("all.jsonl")), essences(&records(&place, "whole")));
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path("all.json")).unwrap()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), NETWORKS * EVALUATED);
    let csv = std::fs::read_to_string(place.path("all.csv")).unwrap();
    assert_eq!(csv.lines().next().unwrap().split(',').next(), Some("schema"));
    assert!(std::fs::read(place.path("all.parquet")).unwrap().starts_with(b"PAR1"));
    // What was compressed is read as what was not.
    let board = |input: &str| place.run(&["board", input, "--format", "json", "--bootstrap", "0"], 0).json();
    std::fs::create_dir(place.path("model_zoo")).unwrap();
    small_zoo::copy(&place.path("zoos/small"), &place.path("model_zoo/small"));
    assert_eq!(board("all.jsonl"), board("all.jsonl.gz"));
    assert_eq!(board("merged/small")["scores"].as_array().unwrap().len(), EVALUATED);
    let of_results = board("results/small.toml");
    assert_eq!(of_results["networks"], NETWORKS);
    let expression = |score: &serde_json::Value| score["expression"].as_str().map(str::to_owned);
    let composites: Vec<String> =
        of_results["scores"].as_array().unwrap().iter().filter_map(expression).collect();
    assert_eq!(composites, ["l2_norm / params"], "the manifest's composite is on the board");
    let answer = place.run(&["merge", "part-1/small", "--output", "all.xlsx"], 2);
    assert!(answer.stderr.contains(".parquet"), "{}", answer.stderr);
    place.run(&["merge", "absent", "--output", "all.csv"], 1);
    place.run(&["board", "zoos"], 6);
}

#[test]
fn a_board_of_several_zoos_has_their_mean() {
    let place = with_manifest();
    std::fs::create_dir(place.path("model_zoo")).unwrap();
    for zoo in ["one", "two"] {
        small_zoo::copy(&place.path("zoos/small"), &place.path("model_zoo").join(zoo));
        let run = format!("runs/{zoo}");
        place
            .run(&["eval", "--zoo", zoo, "--measure", "l2_norm,margin", "--run", &run, "--format", "csv"], 0);
    }
    let board = place.run(&["board", "runs", "--format", "json", "--statistic", "kendall_tau_b"], 0).json();
    let rows = board.as_array().unwrap();
    assert_eq!(rows.len(), 2, "{board}");
    for row in rows {
        let [one, two, total] = ["zoo.one", "zoo.two", "total"].map(|key| row[key].as_f64().unwrap());
        assert_eq!(one, two, "the same networks");
        assert!((total - one).abs() < 1e-15);
    }
    let answer = place.run(&["board", "runs", "--statistic", "kendal_tau_b"], 2);
    assert!(answer.stderr.contains("did you mean `kendall_tau_b`?"), "{}", answer.stderr);
}

#[test]
fn what_is_not_ok_is_tried_again_only_on_demand() {
    let place = with_manifest();
    let run = ["--run", "run", "--jobs", "1"];
    reproduce(&place, &[&run[..], &["--update", "--budget", "0.000001s"]].concat(), 0);
    let timeouts = |path: &Path| essences(path).iter().filter(|line| line.contains("\"timeout\"")).count();
    assert!(timeouts(&records(&place, "run")) > 0, "so little time is too little");
    let answer = reproduce(&place, &[&run[..], &["--only-missing"]].concat(), 0);
    assert!(!answer.stderr.contains("evaluating"), "{}", answer.stderr);
    let differences =
        reproduce(&place, &[&run[..], &["--retry-failed", "--format", "json"]].concat(), 9).json();
    assert!(differences.as_array().unwrap().iter().any(|row| row["committed"] == "timeout"), "{differences}");
    let answer = reproduce(&place, &[&run[..], &["--force", "--update"]].concat(), 0);
    assert!(
        answer.stderr.contains(&format!("evaluating {} values", NETWORKS * EVALUATED)),
        "{}",
        answer.stderr
    );
    reproduce(&place, &[&run[..], &["--retry-failed", "--level", "strict"]].concat(), 0);
}

#[test]
fn a_full_disk_loses_nothing() {
    let place = with_manifest();
    reproduce(&place, &["--run", "whole", "--update"], 0);
    let small = place.path("small");
    std::fs::create_dir(&small).unwrap();
    let mount = |options: &[&str]| {
        let mut mount = std::process::Command::new("mount");
        mount.args(options).arg(&small).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=16k", "tmpfs"]) {
        println!("skipped: this user may not mount a small file system");
        return;
    }
    let guard = Unmount(small.clone());
    let answer = reproduce(&place, &["--run", "small", "--jobs", "1"], 1);
    assert!(answer.stderr.contains("records.jsonl") && answer.stderr.contains("space"), "{}", answer.stderr);
    let kept = lines(&records(&place, "small"));
    assert!(kept > 0, "what was recorded before stands");
    assert!(essences(&records(&place, "small")).len() == kept, "no half lines");

    // Results that do not fit leave the former ones as they were: there is room for one copy.
    assert!(mount(&["-o", "remount,size=28k"]));
    let results = small.join("results");
    std::fs::remove_dir_all(small.join("small")).unwrap();
    std::fs::create_dir(&results).unwrap();
    let text = std::fs::read_to_string(place.path("results/small.toml")).unwrap();
    std::fs::write(results.join("small.toml"), text.replace("../zoos", "../../zoos")).unwrap();
    let update = ["reproduce", "small/results/small.toml", "--run", "whole", "--update"];
    place.run(&update, 0);
    let before = std::fs::read(results.join("small/small.csv")).unwrap();
    let answer = place.run(&update, 6);
    assert!(answer.stderr.contains("free some space"), "{}", answer.stderr);
    assert_eq!(std::fs::read(results.join("small/small.csv")).unwrap(), before);
    let left: Vec<_> = std::fs::read_dir(&results).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing half-written is left: {left:?}");
    drop(guard);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn published_figures_need_the_published_networks() {
    let place = with_manifest();
    let answer = place.run(&["reproduce", "--published", "task1_v4"], 6);
    assert!(
        answer.stderr.contains("hint: ") && answer.stderr.contains("pgdl zoo import competition"),
        "{}",
        answer.stderr
    );
    let answer = place.run(&["reproduce", "--published", "task3"], 2);
    assert!(answer.stderr.contains("task4"), "{}", answer.stderr);
    let table = place.run(&["board", "--published", "--format", "csv"], 0).stdout;
    assert!(table.contains("WCV, 1 graph") && !table.lines().next().unwrap().contains("ours."), "{table}");

    // A zoo of that name, though not that zoo: its scores stand beside the figures, and differ.
    small_zoo::copy(&place.path("zoos/small"), &place.path("model_zoo/task1_v4"));
    let rows =
        place.run(&["reproduce", "--published", "task1_v4", "--device", "cpu", "--format", "json"], 9).json();
    let distance =
        rows.as_array().unwrap().iter().find(|row| row["measure"] == "distance_from_init").unwrap();
    assert_eq!(distance["published"], 5.13);
    assert!(distance["ours"].is_number() && distance["verdict"] == "differs", "{distance}");
    let header = place.run(&["board", "--published", "--format", "csv"], 0).stdout;
    assert!(header.lines().next().unwrap().contains("published.task1_v4,ours.task1_v4"), "{header}");

    // A listing alone has no networks to evaluate.
    let listed = place.path("model_zoo/task2_v1");
    std::fs::create_dir(&listed).unwrap();
    std::fs::copy(place.path("zoos/small/model_configs.json"), listed.join("model_configs.json")).unwrap();
    let answer = place.run(&["reproduce", "--published", "task2_v1"], 6);
    assert!(answer.stderr.contains("only lists its networks"), "{}", answer.stderr);
}

fn spawn(place: &Place, arguments: &[&str]) -> Child {
    place.pgdl(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

fn lines(path: &Path) -> usize {
    std::fs::read(path).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

/// Looks again and again, for two minutes at most.
pub fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}
