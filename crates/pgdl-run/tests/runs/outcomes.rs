//! What becomes of an evaluation: statuses, messages, and that nothing befalls its neighbours.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgdl_run::{Budget, BudgetUnit, End, Event, Interrupt, Record, Status};

use crate::measures::MARKER_VARIABLE;
use crate::program::{Orders, parent_command};
use crate::tiny_zoo::{NETWORKS, TinyZoo};

crate::tests![
    each_outcome_has_its_status_and_its_neighbours_their_values,
    a_budget_per_measure_ends_what_hangs,
    a_budget_per_network_ends_all_that_is_left,
    a_pooled_budget_is_looked_at_between_networks,
    too_much_memory_is_named,
    somebody_kills_the_worker_once_and_nothing_is_lost,
    what_a_measure_left_running_is_ended_with_it,
    the_watcher_sees_it_all,
    jobs_side_by_side_give_the_same_records,
    a_zoo_that_vanished_stops_the_run,
];

fn by_measure(records: &[Record]) -> BTreeMap<&str, Vec<&Record>> {
    let mut by_measure: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        by_measure.entry(&record.measure).or_default().push(record);
    }
    by_measure
}

#[track_caller]
fn statuses(records: &[Record], expected: &[(&str, Status, &str)]) {
    let by_measure = by_measure(records);
    for (measure, status, message) in expected {
        let records = &by_measure[measure];
        assert_eq!(records.len(), NETWORKS.len(), "{measure}");
        for record in records {
            let found = record.message.as_deref().unwrap_or_default();
            assert!(
                record.status == *status && found.contains(message),
                "{measure}: {} {found}",
                record.status
            );
        }
    }
    assert_eq!(by_measure.len(), expected.len());
}

fn each_outcome_has_its_status_and_its_neighbours_their_values() {
    let zoo = TinyZoo::new();
    let good = "weight_sum,mean_loss,noise,distance,control";
    let (summary, alone) = zoo.orders("alone", good).execute();
    assert!(matches!(summary.end, End::Complete));
    assert_eq!((summary.recorded(), summary.not_ok(), summary.outstanding), (5 * NETWORKS.len(), 0, 0));
    for record in &alone {
        assert!(record.value.is_some_and(f64::is_finite) && record.peak_memory_bytes > Some(1 << 20));
        assert_eq!((record.sample, record.threads, record.device.as_str()), (40, 1, "cpu"));
    }

    let bad = "panics,undefined,gives_nan,fails,torch_panics,aborts,exits,is_killed,chatters";
    let (summary, mixed) = zoo.orders("mixed", &format!("{bad},{good}")).execute();
    assert!(matches!(summary.end, End::Complete));
    statuses(
        &mixed,
        &[
            ("weight_sum", Status::Ok, ""),
            ("mean_loss", Status::Ok, ""),
            ("noise", Status::Ok, ""),
            ("distance", Status::Ok, ""),
            ("control", Status::Ok, ""),
            ("chatters", Status::Ok, ""),
            ("undefined", Status::Undefined, "nothing to divide by"),
            ("gives_nan", Status::Failed, "NaN"),
            ("fails", Status::Failed, "no luck"),
            ("panics", Status::Failed, "measures.rs"),
            ("torch_panics", Status::Failed, "panicked at"),
            ("aborts", Status::Crashed, "SIGABRT"),
            ("exits", Status::Crashed, "exit code 0"),
            ("is_killed", Status::Crashed, "probably out of memory"),
        ],
    );
    let essences = |records: &[Record]| -> Vec<Record> {
        let good = records.iter().filter(|record| good.split(',').any(|good| good == record.measure));
        good.map(Record::essence).collect()
    };
    assert_eq!(
        essences(&mixed),
        essences(&alone),
        "the misfortune of some measures changes nothing for the others"
    );
    let value = |measure| by_measure(&mixed)[measure].iter().map(|record| record.value).collect::<Vec<_>>();
    assert_eq!(
        value("chatters"),
        value("mean_loss"),
        "what a measure reads is empty, what it prints does no harm"
    );
}

fn budget(milliseconds: u64, unit: BudgetUnit) -> Option<Budget> {
    Some(Budget { limit: Duration::from_millis(milliseconds), unit })
}

fn a_budget_per_measure_ends_what_hangs() {
    let zoo = TinyZoo::new();
    let started = Instant::now();
    let orders = Orders {
        budget: budget(700, BudgetUnit::Measure),
        ..zoo.orders("run", "hangs,is_stubborn,is_patient,weight_sum")
    };
    let (summary, records) = orders.execute();
    assert!(matches!(summary.end, End::Complete));
    let exceeded = "exceeded the budget of 0.7 s per measure and network";
    statuses(
        &records,
        &[
            ("hangs", Status::Timeout, exceeded),
            ("is_stubborn", Status::Timeout, exceeded),
            ("is_patient", Status::Timeout, exceeded),
            ("weight_sum", Status::Ok, ""),
        ],
    );
    assert_eq!(summary.workers_lost, 2 * NETWORKS.len(), "who looks at the deadline keeps its worker");
    assert!(started.elapsed() < Duration::from_secs(60));
}

fn a_budget_per_network_ends_all_that_is_left() {
    let zoo = TinyZoo::new();
    let orders = Orders {
        budget: budget(3000, BudgetUnit::Network),
        ..zoo.orders("run", "weight_sum,hangs,mean_loss")
    };
    let (_, records) = orders.execute();
    statuses(
        &records,
        &[
            ("weight_sum", Status::Ok, ""),
            ("hangs", Status::Timeout, "exceeded the budget of 3 s per network"),
            ("mean_loss", Status::Timeout, "not begun"),
        ],
    );
}

fn a_pooled_budget_is_looked_at_between_networks() {
    let zoo = TinyZoo::new();
    // The pool is 4 × 0.3 s, of which the naps take a tenth.
    let orders =
        |run| Orders { budget: budget(300, BudgetUnit::Pooled), ..zoo.orders(run, "naps,is_patient") };
    let (_, records) = orders("run").execute();
    let naps: Vec<&Record> = records.iter().filter(|record| record.measure == "naps").collect();
    assert!(naps.iter().all(|nap| nap.status.is_ok()));
    // The first of the patient takes the whole pool and one share more; for the others nothing is left.
    let patient: Vec<&Record> = records.iter().filter(|record| record.measure == "is_patient").collect();
    assert!(patient.iter().all(|record| record.status == Status::Timeout));
    let messages: Vec<&str> = patient.iter().map(|record| record.message.as_deref().unwrap()).collect();
    assert_eq!(messages[0], "exceeded the pooled budget of 1.2 s (0.3 s × 4 networks)");
    assert!(patient[0].seconds >= 1.5);
    for message in &messages[1..] {
        assert_eq!(*message, "not begun: the pooled budget of 1.2 s (0.3 s × 4 networks) was used up");
    }
    // A resumed run goes on with the pool as it was left.
    let all = std::fs::read_to_string(zoo.run("run").join("records.jsonl")).unwrap();
    let first_network: String = all.lines().take(2).map(|line| format!("{line}\n")).collect();
    std::fs::create_dir_all(zoo.run("resumed")).unwrap();
    std::fs::write(zoo.run("resumed").join("records.jsonl"), first_network).unwrap();
    let (_, resumed) = orders("resumed").execute();
    let patient = resumed.iter().filter(|record| record.measure == "is_patient").skip(1);
    assert!(patient.into_iter().all(|record| record.message.as_deref() == Some(messages[1])));
}

fn too_much_memory_is_named() {
    let zoo = TinyZoo::new();
    let orders = Orders {
        memory_limit: Some(2 << 30),
        ..zoo.orders("run", "fills_the_heap,makes_a_huge_tensor,weight_sum")
    };
    let (_, records) = orders.execute();
    statuses(
        &records,
        &[
            ("fills_the_heap", Status::Crashed, "ran out of memory (SIGABRT)"),
            ("makes_a_huge_tensor", Status::Failed, "out of memory"),
            ("weight_sum", Status::Ok, ""),
        ],
    );
}

fn somebody_kills_the_worker_once_and_nothing_is_lost() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", "mean_loss,is_killed_once,weight_sum");
    let marker = orders.run.with_extension("marker");
    std::fs::create_dir_all(&orders.run).unwrap();
    assert!(parent_command(&orders).env(MARKER_VARIABLE, &marker).status().unwrap().success());
    assert!(marker.exists(), "the worker was killed");
    let records = orders.answers();
    statuses(
        &records,
        &["mean_loss", "is_killed_once", "weight_sum"].map(|measure| (measure, Status::Ok, "")),
    );
    let value = |measure| by_measure(&records)[measure].iter().map(|record| record.value).collect::<Vec<_>>();
    assert_eq!(value("is_killed_once"), value("mean_loss"));
}

fn what_a_measure_left_running_is_ended_with_it() {
    let zoo = TinyZoo::new();
    let orders = Orders { budget: budget(500, BudgetUnit::Measure), ..zoo.orders("run", "leaves_a_child") };
    let mut left: Vec<u32> = Vec::new();
    let summary = orders
        .execute_watched(&Interrupt::new(), |event| {
            if let Event::Talk { line, .. } = event {
                left.extend(line.strip_prefix("left ").and_then(|pid| pid.parse::<u32>().ok()));
            }
        })
        .unwrap();
    assert_eq!(summary.by_status[&Status::Timeout], NETWORKS.len());
    assert_eq!(left.len(), NETWORKS.len());
    let gone = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    };
    let patience = Instant::now() + Duration::from_secs(10);
    while !left.iter().all(gone) {
        assert!(Instant::now() < patience, "a process outlived its worker");
        std::thread::yield_now();
    }
}

fn the_watcher_sees_it_all() {
    let zoo = TinyZoo::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut last = None;
    let summary = zoo
        .orders("run", "weight_sum,fails")
        .execute_watched(&Interrupt::new(), |event| {
            let name = match event {
                Event::Started { networks, evaluations, .. } => {
                    assert_eq!((*networks, *evaluations), (NETWORKS.len(), 2 * NETWORKS.len()));
                    "started"
                }
                Event::WorkerReady { .. } => "ready",
                Event::NetworkStarted { .. } => "network",
                Event::MeasureStarted { .. } => "measure",
                Event::Recorded { standing, .. } => {
                    last = Some(*standing);
                    "recorded"
                }
                _ => "other",
            };
            *counts.entry(name).or_default() += 1;
        })
        .unwrap();
    let n = NETWORKS.len();
    let expected = [("started", 1), ("ready", 1), ("network", n), ("measure", 2 * n), ("recorded", 2 * n)];
    for (name, count) in expected {
        assert_eq!(counts[name], count, "{name}");
    }
    let last = last.unwrap();
    assert_eq!((last.done, last.total, last.not_ok), (2 * n, 2 * n, n));
    assert_eq!(last.time_left, Some(Duration::ZERO));
    assert_eq!((summary.recorded(), summary.not_ok()), (2 * n, n));
}

fn jobs_side_by_side_give_the_same_records() {
    let zoo = TinyZoo::new();
    let measures = "weight_sum,mean_loss,noise,panics";
    let (_, one) = zoo.orders("one", measures).execute();
    let (summary, three) = Orders { jobs: 3, ..zoo.orders("three", measures) }.execute();
    assert!(matches!(summary.end, End::Complete));
    let essences = |records: &[Record]| records.iter().map(Record::essence).collect::<Vec<_>>();
    assert_eq!(essences(&one), essences(&three));
}

fn a_zoo_that_vanished_stops_the_run() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", "weight_sum");
    let plan = orders.plan().unwrap();
    zoo.remove();
    let folder = pgdl_run::RunFolder::open(&orders.run).unwrap();
    let summary =
        pgdl_run::execute(&folder, &plan, &orders.options(), &Interrupt::new(), &mut pgdl_run::Unwatched)
            .unwrap();
    let End::Stopped(error) = &summary.end else { panic!("{summary:?}") };
    assert!(error.to_string().contains(&orders.zoo.display().to_string()), "{error}");
    assert_eq!((summary.recorded(), summary.outstanding), (0, NETWORKS.len()));
}
