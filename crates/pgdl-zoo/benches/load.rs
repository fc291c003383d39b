//! Loading a network's weights, on the smallest and the largest network of task 1 (1.67 and 19.2 million parameters,
//! made-up weights), beside reading the same file's bytes into memory: the floor for any reader.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgdl_network::{Activation, Architecture, Conv2d, Dense, Layer, Network, Padding, Pool};
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::keras;
use tch::Device;

/// Task 1's networks: blocks of two convolutions and a pooling, whose widths halve towards the input, then dense layers.
fn task_1(width: i64, blocks: u32, dense_layers: usize) -> Network {
    let conv = |filters| {
        Layer::Conv2d(Conv2d {
            filters,
            kernel: [3, 3],
            strides: [1, 1],
            padding: Padding::Same,
            dilation: [1, 1],
            groups: 1,
            use_bias: true,
            activation: Activation::Relu,
        })
    };
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
    let mut layers = Vec::new();
    for block in 0..blocks {
        let filters = width >> (blocks - 1 - block);
        let pool = Pool { size: [2, 2], strides: [2, 2], padding: Padding::Valid };
        layers.extend([conv(filters), conv(filters), Layer::MaxPooling2d(pool)]);
    }
    layers.push(Layer::Flatten);
    layers.extend((0..dense_layers).map(|_| dense(128, Activation::Relu)));
    layers.push(dense(10, Activation::Linear));
    let architecture = Architecture::sequential(vec![32, 32, 3], layers).expect("the architecture is sound");
    Network::initialize(architecture, 1, Device::Cpu).expect("the network fits into memory")
}

fn write(folder: &Path, network: &Network, storage: Storage) {
    let path = folder.join("config.json");
    let written = keras::to_pgdl_json(network.architecture(), &path).expect("the network is sequential");
    std::fs::write(&path, written.json.to_string()).expect("there is space");
    keras::write_weights_named(&folder.join("weights.hdf5"), network, &written, storage)
        .expect("there is space");
}

/// The fastest of several runs: what the machine can do, without what else it does.
fn fastest(mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..9).map(time).min().unwrap_or_default()
}

fn loading(criterion: &mut Criterion) {
    for (width, blocks, dense_layers) in [(256, 3, 1), (512, 1, 1)] {
        let network = task_1(width, blocks, dense_layers);
        let parameters = network.architecture().parameter_count().expect("the network is sound");
        let mut group =
            criterion.benchmark_group(format!("{:.2} million parameters", parameters as f64 / 1e6));
        group.sample_size(10).throughput(Throughput::Bytes(4 * parameters as u64));
        for (name, storage) in [("plain", Storage::Plain), ("compressed", Storage::Compressed(4))] {
            let folder = tempfile::tempdir().expect("there is space");
            write(folder.path(), &network, storage);
            let load = || {
                keras::read_network(folder.path(), None).expect("what was written can be read");
            };
            group.bench_function(BenchmarkId::new("load", name), |bencher| bencher.iter(load));
            let bytes = || {
                std::hint::black_box(
                    std::fs::read(folder.path().join("weights.hdf5")).expect("the file is there"),
                );
            };
            let ratio = fastest(load).as_secs_f64() / fastest(bytes).as_secs_f64();
            println!("{name}: loading takes {ratio:.2} times as long as reading the file's bytes");
        }
        group.finish();
    }
}

criterion_group!(benches, loading);
criterion_main!(benches);
