//! Storage that fails.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use pgdl_run::{End, RunError};

use crate::tiny_zoo::TinyZoo;

crate::tests![
    a_full_disk_stops_the_run_and_keeps_what_was_computed,
    a_newer_records_file_is_refused_and_left_alone
];

fn a_full_disk_stops_the_run_and_keeps_what_was_computed() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        println!("skipped: /dev/full not found");
        return;
    }
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", "weight_sum,mean_loss");
    fs::create_dir_all(&orders.run).unwrap();
    symlink(full, orders.run.join("records.jsonl")).unwrap();
    let summary = orders.execute_watched(&pgdl_run::Interrupt::new(), |_| {}).unwrap();
    let End::Stopped(error) = &summary.end else { panic!("{summary:?}") };
    assert!(matches!(error, RunError::Storage { .. }), "{error}");
    assert!(error.to_string().contains("records.jsonl") && error.hint().is_some(), "{error}");
    assert_eq!(summary.unsaved.len(), 1, "the run ends at once, with the record in hand");
    assert!(summary.unsaved[0].status.is_ok());
}

fn a_newer_records_file_is_refused_and_left_alone() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", "weight_sum");
    fs::create_dir_all(&orders.run).unwrap();
    let path = orders.run.join("records.jsonl");
    fs::write(&path, "{\"schema\":99}\n").unwrap();
    let error = orders.plan().unwrap_err();
    assert!(error.to_string().contains("schema 99 is newer"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"schema\":99}\n");
}
