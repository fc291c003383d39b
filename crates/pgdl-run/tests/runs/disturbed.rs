//! A run that is disturbed, and then resumed, equals one that was not.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use pgdl_run::{End, Record, RunFolder};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Orders, parent_command};
use crate::tiny_zoo::{NETWORKS, TinyZoo};

crate::tests![
    a_killed_run_resumes_to_the_same_bytes,
    a_run_whose_workers_are_killed_gives_the_same_bytes,
    an_interrupted_run_keeps_its_records_and_resumes,
    a_torn_last_line_is_evaluated_again,
    a_complete_run_has_nothing_left_to_do,
    failures_are_tried_again_on_demand,
];

const MEASURES: &str = "weight_sum,naps,noise,undefined,mean_loss";
const EVALUATIONS: usize = 5 * NETWORKS.len();

/// The records as bytes, without what differs from run to run.
fn bytes(records: &[Record]) -> String {
    records.iter().map(|record| record.essence().to_line().unwrap()).collect()
}

fn lines(run: &Path) -> usize {
    fs::read_to_string(run.join("records.jsonl")).map_or(0, |text| text.matches('\n').count())
}

/// Waits until something holds; a test that waits too long fails.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < patience, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The living children of a process.
fn children(parent: u32) -> Vec<u32> {
    let stat = |entry: fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (pid, rest) = stat.split_once(' ')?;
        let mut rest = rest.rsplit_once(") ")?.1.split(' ');
        let (state, parent) = (rest.next()?, rest.next()?.parse::<u32>().ok()?);
        Some((pid.parse::<u32>().ok()?, parent, state != "Z"))
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(stat);
    processes.filter(|&(_, its_parent, alive)| alive && its_parent == parent).map(|(pid, ..)| pid).collect()
}

fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended in the meantime.
    let _ = kill_process(pid, signal);
}

fn a_killed_run_resumes_to_the_same_bytes() {
    let zoo = TinyZoo::new();
    let undisturbed = bytes(&zoo.orders("undisturbed", MEASURES).execute().1);
    for (point, jobs) in [(0, 1), (1, 1), (7, 2), (12, 1), (EVALUATIONS - 1, 2)] {
        let run = format!("killed at {point}");
        let orders = Orders { jobs, ..zoo.orders(&run, MEASURES) };
        let mut parent = parent_command(&orders).spawn().unwrap();
        let mut workers = Vec::new();
        wait_until("a worker and some records", || {
            workers = children(parent.id());
            !workers.is_empty() && lines(&orders.run) >= point
        });
        parent.kill().unwrap();
        parent.wait().unwrap();
        wait_until("the workers end with their parent", || !workers.iter().any(|&worker| is_alive(worker)));

        let held = orders.plan().unwrap().held();
        assert!(held >= point && held <= EVALUATIONS, "killed at {point}, {held} records");
        let (summary, records) = orders.execute();
        assert!(matches!(summary.end, End::Complete));
        assert_eq!(summary.recorded(), EVALUATIONS - held, "only what was missing is evaluated");
        assert_eq!(bytes(&records), undisturbed, "killed at {point} records");
        assert_eq!(lines(&orders.run), EVALUATIONS, "each evaluation has one record");
    }
}

fn a_run_whose_workers_are_killed_gives_the_same_bytes() {
    let zoo = TinyZoo::new();
    let undisturbed = bytes(&zoo.orders("undisturbed", MEASURES).execute().1);
    let orders = zoo.orders("disturbed", MEASURES);
    let mut parent = parent_command(&orders).spawn().unwrap();
    // Each worker but the last makes two records before it is killed.
    for point in [2, 4, 6] {
        wait_until("some records", || lines(&orders.run) >= point);
        children(parent.id()).into_iter().for_each(|worker| signal(worker, Signal::KILL));
    }
    assert!(parent.wait().unwrap().success());
    assert_eq!(bytes(&orders.answers()), undisturbed);
    assert_eq!(lines(&orders.run), EVALUATIONS);
}

fn an_interrupted_run_keeps_its_records_and_resumes() {
    let zoo = TinyZoo::new();
    let undisturbed = bytes(&zoo.orders("undisturbed", MEASURES).execute().1);
    for (how, point) in [(Signal::INT, 3), (Signal::TERM, 8)] {
        let orders = zoo.orders(&format!("interrupted at {point}"), MEASURES);
        let mut parent = parent_command(&orders).spawn().unwrap();
        wait_until("some records", || lines(&orders.run) >= point);
        let workers = children(parent.id());
        signal(parent.id(), how);
        assert_eq!(parent.wait().unwrap().code(), Some(5));
        assert!(!workers.iter().any(|&worker| is_alive(worker)), "no worker is left");
        let held = lines(&orders.run);
        assert!((point..EVALUATIONS).contains(&held));
        let (summary, records) = orders.execute();
        assert_eq!(summary.recorded(), EVALUATIONS - held);
        assert_eq!(bytes(&records), undisturbed);
    }
}

fn a_torn_last_line_is_evaluated_again() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", MEASURES);
    let undisturbed = bytes(&orders.execute().1);
    let path = orders.run.join("records.jsonl");
    let whole = fs::read(&path).unwrap();
    let last_line =
        whole.len() - whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() - 1;
    for torn in [2, last_line / 2, last_line - 1] {
        fs::write(&path, &whole[..whole.len() - torn]).unwrap();
        let (summary, records) = orders.execute();
        assert_eq!((summary.recorded(), summary.healed), (1, 1));
        assert_eq!(bytes(&records), undisturbed);
        assert_eq!(RunFolder::read(&orders.run).unwrap().damaged, []);
    }
}

fn a_complete_run_has_nothing_left_to_do() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", "weight_sum,undefined");
    orders.execute();
    let before = fs::read(orders.run.join("records.jsonl")).unwrap();
    let (summary, _) = orders.execute();
    assert!(matches!(summary.end, End::Complete));
    assert_eq!((summary.recorded(), summary.outstanding), (0, 0));
    assert_eq!(fs::read(orders.run.join("records.jsonl")).unwrap(), before);
    // One more measure leaves the others alone.
    let (summary, records) = zoo.orders("run", "weight_sum,undefined,mean_loss").execute();
    assert_eq!((summary.recorded(), records.len()), (NETWORKS.len(), 3 * NETWORKS.len()));
}

fn failures_are_tried_again_on_demand() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", "weight_sum,fails");
    orders.execute();
    let n = NETWORKS.len();
    let recorded = |orders: Orders| orders.execute().0.recorded();
    assert_eq!(recorded(Orders { retry_failed: true, ..orders.clone() }), n);
    assert_eq!(recorded(Orders { force: true, ..orders.clone() }), 2 * n);
    assert_eq!(recorded(orders.clone()), 0);
    assert_eq!(orders.answers().len(), 2 * n, "one answer each, whatever the number of attempts");
}
