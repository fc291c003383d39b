//! Work that is shared: among processes on one run folder, and among shards that are merged.

use pgdl_run::{Contents, Record, RunFolder, merge};

use crate::program::{Orders, parent_command};
use crate::tiny_zoo::{NETWORKS, TinyZoo};

crate::tests![
    two_processes_on_one_folder_share_the_work,
    the_work_of_a_process_that_died_is_taken_over,
    merged_shards_are_the_whole_run,
];

const MEASURES: &str = "weight_sum,naps,noise";

fn essences(records: &[Record]) -> Vec<Record> {
    records.iter().map(Record::essence).collect()
}

fn two_processes_on_one_folder_share_the_work() {
    let zoo = TinyZoo::new();
    let alone = zoo.orders("alone", MEASURES).execute().1;
    let orders = zoo.orders("shared", MEASURES);
    let mut processes: Vec<_> = (0..3).map(|_| parent_command(&orders).spawn().unwrap()).collect();
    for process in &mut processes {
        assert!(process.wait().unwrap().success(), "each ends when everything is done, by whomever");
    }
    let Contents { records, damaged, half_written } = RunFolder::read(&orders.run).unwrap();
    assert_eq!((records.len(), damaged.len(), half_written), (3 * NETWORKS.len(), 0, false));
    assert_eq!(essences(&orders.answers()), essences(&alone));
}

fn the_work_of_a_process_that_died_is_taken_over() {
    let zoo = TinyZoo::new();
    let alone = zoo.orders("alone", MEASURES).execute().1;
    let orders = zoo.orders("shared", MEASURES);
    let mut first = parent_command(&orders).spawn().unwrap();
    let mut second = parent_command(&orders).spawn().unwrap();
    while RunFolder::look(&orders.run).unwrap().records.is_empty() {
        std::thread::yield_now();
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!(essences(&orders.answers()), essences(&alone));
}

fn merged_shards_are_the_whole_run() {
    let zoo = TinyZoo::new();
    let whole = zoo.orders("whole", MEASURES).execute().1;
    let shards: Vec<_> = (1..=3)
        .map(|index| {
            let shard = format!("{index}/3");
            let orders = Orders { shard: Some(shard), ..zoo.orders(&format!("shard {index}"), MEASURES) };
            orders.execute();
            orders.run
        })
        .collect();
    let merged = merge(&shards).unwrap();
    assert_eq!((merged.records.len(), merged.superseded), (whole.len(), 0));

    let orders = zoo.orders("merged", MEASURES);
    assert_eq!(merged.append_to(&RunFolder::open(&orders.run).unwrap()).unwrap(), whole.len());
    assert_eq!(orders.plan().unwrap().outstanding(), 0);
    assert_eq!(essences(&orders.answers()), essences(&whole));
}
