//! Time to score one measure: on a zoo of task 1's shape (96 networks, 7 hyperparameters, one of them single-valued),
//! and on 10,000 networks with 5 hyperparameters. Then how many times faster that is than the plain definitions of the
//! tests.

#[path = "../tests/transparent/mod.rs"]
mod transparent;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use pgdl_score::{Axis, Grid, Observations, Options, cmi_pgdl, kendall_tau_b, score};
use transparent::Case;

/// The first `networks` of a complete grid, with gaps and values that have half their variation in common.
fn case(values: &[usize], networks: usize) -> Case {
    let mut repeat = 1;
    let mut levels = Vec::new();
    for &count in values {
        levels.push((0..networks).map(|network| (network / repeat % count) as u32).collect());
        repeat *= count;
    }
    let scattered = |factor: usize| move |network: usize| (network * factor % 10_007) as f64 / 10_007.0;
    let gap: Vec<f64> = (0..networks).map(scattered(6_007)).collect();
    let measure = (0..networks).map(scattered(3_571)).zip(&gap).map(|(noise, gap)| noise + gap).collect();
    Case { levels, values: values.to_vec(), seeds: None, gap, measure }
}

fn grid(case: &Case) -> Grid {
    let axes = case.levels.iter().zip(&case.values).enumerate().map(|(axis, (levels, &values))| Axis {
        name: format!("h{axis}"),
        labels: (0..values).map(|value| value.to_string()).collect(),
        levels: levels.clone(),
    });
    Grid::new(case.networks(), axes.collect(), None).expect("the benchmark's grid is well formed")
}

fn scoring(criterion: &mut Criterion) {
    let small = case(&[1, 2, 2, 2, 3, 2, 2], 96);
    let large = case(&[6, 6, 7, 7, 6], 10_000);
    for (name, case, samples) in [("96 networks x 7", &small, 100), ("10000 networks x 5", &large, 10)] {
        let grid = grid(case);
        let measure: Vec<Option<f64>> = case.measure.iter().map(|&value| Some(value)).collect();
        let observations = Observations::from_numbers(&grid, &case.gap, &case.measure)
            .expect("lists are as long as the grid");
        let mut group = criterion.benchmark_group(name);
        group.sample_size(samples).warm_up_time(Duration::from_millis(500));
        group.bench_function("cmi_pgdl", |bencher| bencher.iter(|| cmi_pgdl(black_box(&observations))));
        group.bench_function("kendall_tau_b", |bencher| {
            bencher.iter(|| kendall_tau_b(black_box(&case.measure), &case.gap))
        });
        for (name, bootstrap) in [("all scores", 0), ("all scores and intervals", 1000)] {
            let options = Options { bootstrap, test_examples: Some(10_000), ..Options::default() };
            group.bench_function(name, |bencher| {
                bencher.iter(|| score(black_box(&grid), &case.gap, &measure, &options))
            });
        }
        group.finish();
    }

    let grid = grid(&small);
    let observations =
        Observations::from_numbers(&grid, &small.gap, &small.measure).expect("lists are as long as the grid");
    let plain = time(|| transparent::cmi_pgdl(&small, false).map(|(least, _)| least));
    let ours = time(|| cmi_pgdl(&observations).ok().map(|cmi| cmi.value));
    println!("cmi_pgdl on 96 networks x 7: {:.0} times as fast as the plain definition", plain / ours);
}

/// Seconds per call, over at least a second.
fn time(mut call: impl FnMut() -> Option<f64>) -> f64 {
    let start = Instant::now();
    let mut calls = 0.0;
    while start.elapsed() < Duration::from_secs(1) {
        black_box(call());
        calls += 1.0;
    }
    start.elapsed().as_secs_f64() / calls
}

criterion_group!(benches, scoring);
criterion_main!(benches);
