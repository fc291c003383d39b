//! Which records a changed zoo, a damaged one, or another request leaves valid.

use std::fs;

use pgdl_run::{End, Status};

use crate::program::Orders;
use crate::tiny_zoo::{NETWORKS, TinyZoo, write_network};

crate::tests![
    a_network_that_changed_is_evaluated_again_and_the_others_are_not,
    a_damaged_network_costs_its_own_records_only,
    another_seed_and_another_sample_are_other_records,
    the_context_of_a_run_is_kept_beside_its_records,
];

const MEASURES: &str = "weight_sum,mean_loss";

fn a_network_that_changed_is_evaluated_again_and_the_others_are_not() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", MEASURES);
    let before = orders.execute().1;
    let changed = NETWORKS[2];
    write_network(&zoo.path().join(format!("model_{changed}")), 5);

    let plan = orders.plan().unwrap();
    assert_eq!((plan.outstanding(), plan.networks_outstanding(), plan.outdated()), (2, 1, 2));
    let (summary, after) = orders.execute();
    assert_eq!(summary.recorded(), 2);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before == after, before.network != changed, "network {}", before.network);
    }
}

fn a_damaged_network_costs_its_own_records_only() {
    let zoo = TinyZoo::new();
    let weights = zoo.path().join(format!("model_{}", NETWORKS[1])).join("weights.hdf5");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();

    let orders = zoo.orders("run", MEASURES);
    let (summary, records) = orders.execute();
    assert!(matches!(summary.end, End::Complete));
    for record in &records {
        let damaged = record.network == NETWORKS[1];
        assert_eq!(record.status, if damaged { Status::Failed } else { Status::Ok });
        let message = record.message.as_deref().unwrap_or_default();
        assert_eq!(
            message.contains("cannot be loaded") && message.contains("weights.hdf5"),
            damaged,
            "{message}"
        );
    }
    // Mended, it is another network than the one that failed: nobody has to ask for a second attempt.
    fs::write(&weights, &whole).unwrap();
    assert_eq!(orders.execute().0.recorded(), 2);
    assert!(orders.answers().iter().all(|record| record.status.is_ok()));
}

fn another_seed_and_another_sample_are_other_records() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", "noise");
    let first = orders.execute().1;
    let reseeded = Orders { seed: orders.seed + 1, ..orders.clone() }.execute().1;
    let all = Orders { sample: None, ..orders.clone() }.execute().1;
    for network in 0..NETWORKS.len() {
        assert_ne!(first[network].value, reseeded[network].value);
        assert_ne!(first[network].value, all[network].value);
        assert_eq!(all[network].sample, crate::tiny_zoo::TRAIN_SIZE as u64);
    }
    assert_eq!(orders.execute().0.recorded(), 0, "the first records still stand");
}

fn the_context_of_a_run_is_kept_beside_its_records() {
    let zoo = TinyZoo::new();
    let orders = zoo.orders("run", MEASURES);
    orders.execute();
    let text = fs::read_to_string(orders.run.join("run.json")).unwrap();
    let context: pgdl_run::RunContext = serde_json::from_str(&text).unwrap();
    assert_eq!((context.zoo.as_str(), context.seed, context.sample, context.threads), ("tiny", 7, 40, 1));
    assert_eq!(context.measures.join(","), MEASURES);
}
