//! A reproduction on a real SLURM cluster of one node, which `tests/slurm/one_node` starts and ends.
//!
//! Where SLURM is not installed the test is skipped, unless `PGDL_SLURM=1` or `CI=true` asks for it: then it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::manifests::{essences, with_manifest};
use crate::reproduce::wait_until;
use crate::support::Place;

/// The cluster, until it is dropped.
struct Cluster {
    folder: tempfile::TempDir,
    configuration: PathBuf,
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/slurm/one_node"))
}

impl Cluster {
    /// `None`, and a plain word, where there is no SLURM and nobody asks for it.
    fn start() -> Option<Cluster> {
        let is_set = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
        let wanted = is_set("PGDL_SLURM", "1") || is_set("CI", "true");
        let installed = ["slurmctld", "slurmd", "munged", "sbatch"].iter().all(|program| {
            let mut which = Command::new("sh");
            which.args(["-c", &format!("command -v {program}")]).stdout(Stdio::null());
            which.status().is_ok_and(|status| status.success())
        });
        if !installed && !wanted {
            println!("skipped: SLURM is not installed; PGDL_SLURM=1 installs it");
            return None;
        }
        if !installed {
            assert!(script().arg("install").status().unwrap().success(), "SLURM cannot be installed");
        }
        // Sockets need a short path.
        let folder = tempfile::Builder::new().prefix("slurm").tempdir_in("/tmp").unwrap();
        let output = script().arg("start").arg(folder.path()).stderr(Stdio::inherit()).output().unwrap();
        let configuration = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let cluster = Cluster { folder, configuration };
        assert!(output.status.success(), "the cluster does not start");
        Some(cluster)
    }

    /// A command that speaks to this cluster.
    fn command(&self, mut command: Command) -> Command {
        command.env("SLURM_CONF", &self.configuration);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(self.folder.path()).status();
    }
}

fn slurm(place: &Place, cluster: &Cluster, more: &[&str]) -> Command {
    let arguments =
        ["reproduce", "results/small.toml", "--executor", "slurm", "--shards", "3", "--run", "cluster"];
    cluster.command(place.pgdl(&[&arguments[..], more].concat()))
}

/// The process of element `element`, once it is there: the one that SLURM's script started, not its workers.
fn process_of(element: usize) -> Option<u32> {
    let sign = format!("--shard={element}/3");
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
        words.contains(&sign.as_bytes()).then_some(pid)
    })
}

#[test]
fn the_scripts_can_be_read_before_anything_is_submitted() {
    let place = with_manifest();
    let arguments =
        ["reproduce", "results/small.toml", "--executor", "slurm", "--shards", "5", "--at-once", "2"];
    let more = ["--sbatch=--partition=short", "--dry-run", "--jobs", "2", "--run", "a folder"];
    let scripts = place.run(&[&arguments[..], &more].concat(), 0).stdout;
    for sign in
        ["#SBATCH --array=1-5%2", "#SBATCH --partition=short", "--jobs=2", "merge", "results/small.toml"]
    {
        assert!(scripts.contains(sign), "{sign} in\n{scripts}");
    }
    assert!(!place.path("a folder").exists(), "nothing is written");
    // Without the commands of a cluster.
    let answer = place
        .pgdl(&[&arguments[..], &["--update"]].concat())
        .env("PATH", place.path("empty"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&answer.stderr);
    assert!(stderr.contains("cannot run sbatch") && stderr.contains("--dry-run"), "{stderr}");
}

#[test]
fn a_cluster_reproduces_although_an_element_is_killed() {
    let Some(cluster) = Cluster::start() else { return };
    let place = with_manifest();
    place.run(&["reproduce", "results/small.toml", "--update", "--run", "whole"], 0);

    let mut driver = slurm(&place, &cluster, &["--level", "strict"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = None;
    wait_until(|| {
        pid = process_of(2);
        pid.is_some() || driver.try_wait().unwrap().is_some()
    });
    let pid = pid.expect("element 2 runs");
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    // SLURM lets two minutes pass before it starts a requeued job.
    let jobs = std::fs::read_to_string(place.path("cluster/slurm/jobs.json")).unwrap();
    let jobs: serde_json::Value = serde_json::from_str(&jobs).unwrap();
    let element = format!("{}_2", jobs["array"].as_str().unwrap());
    let requeued = wait_until(|| {
        let mut squeue = Command::new("squeue");
        squeue.args(["--noheader", "--format=%r", "--jobs", &element]);
        let output = cluster.command(squeue).output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains("BeginTime")
    });
    assert!(requeued, "element 2 is not put back into the queue");
    let mut update = Command::new("scontrol");
    update.args(["update", &format!("JobId={element}"), "StartTime=now"]);
    assert!(cluster.command(update).status().unwrap().success());

    let output = driver.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("reproduced (strict)"), "{stderr}");
    let log = std::fs::read_to_string(place.path("cluster/slurm/evaluate-2.log")).unwrap();
    assert!(log.contains("exit code 137") && log.contains("put back into the queue"), "{log}");
    let [cluster_records, whole] =
        ["cluster", "whole"].map(|run| essences(&place.path(run).join("small/records.jsonl")));
    assert_eq!(cluster_records, whole, "each evaluation once, the same bytes");

    // A second time nothing lacks, and nothing is submitted.
    let output = slurm(&place, &cluster, &[]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !stderr.contains("job "), "{stderr}");

    // A cancelled element stays cancelled: the rest is merged, and the same command submits what lacks.
    std::fs::remove_dir_all(place.path("cluster")).unwrap();
    let mut driver = slurm(&place, &cluster, &["--at-once", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let jobs = place.path("cluster/slurm/jobs.json");
    assert!(wait_until(|| jobs.exists() || driver.try_wait().unwrap().is_some()));
    let jobs: serde_json::Value = serde_json::from_slice(&std::fs::read(&jobs).unwrap()).unwrap();
    // Elements run one at a time: the last one waits.
    let last = format!("{}_3", jobs["array"].as_str().unwrap());
    let mut cancel = Command::new("scancel");
    cancel.arg(last);
    assert!(cluster.command(cancel).status().unwrap().success());
    let output = driver.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("those of shards 3") && stderr.contains("hint: "), "{stderr}");
    let output = slurm(&place, &cluster, &["--level", "strict"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("1 shards of 3"), "{stderr}");
}
