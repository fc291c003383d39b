//! Zoos that are written, read, checked, exported and imported.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use pgdl_network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Layer, Mode, Network, Node, Padding, Pool,
    SeparableConv2d, Source,
};
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::keras::{self, Dialect};
use pgdl_zoo::writer::write_network;
use pgdl_zoo::{
    CheckOptions, Dataset, HyperValue, Hyperparameter, Listing, Metrics, NetworkEntry, Split, Zoo, ZooWriter,
    check, export, import_competition, import_keras,
};
use tch::{Device, Kind, Tensor};

fn conv(filters: i64) -> Conv2d {
    Conv2d {
        filters,
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias: true,
        activation: Activation::Relu,
    }
}

fn dense(units: i64, activation: Activation) -> Layer {
    Layer::Dense(Dense { units, use_bias: true, activation })
}

/// Every layer that a chain can have.
fn chain() -> Architecture {
    let pool = Pool { size: [2, 2], strides: [1, 2], padding: Padding::Same };
    let layers = vec![
        Layer::Rescaling { scale: 0.5, offset: -0.25 },
        Layer::Conv2d(Conv2d {
            strides: [2, 2],
            activation: Activation::LeakyRelu { slope: 0.1 },
            ..conv(8)
        }),
        Layer::Conv2d(Conv2d { groups: 2, use_bias: false, dilation: [2, 2], ..conv(6) }),
        Layer::BatchNormalization { axis: -1, scale: true, center: false, epsilon: 1e-5, momentum: 0.9 },
        Layer::Activation(Activation::Elu { alpha: 0.7 }),
        Layer::DepthwiseConv2d(DepthwiseConv2d {
            kernel: [3, 2],
            strides: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            depth_multiplier: 2,
            use_bias: true,
            activation: Activation::Tanh,
        }),
        Layer::ZeroPadding2d { top: 1, bottom: 0, left: 2, right: 1 },
        Layer::SeparableConv2d(SeparableConv2d {
            filters: 5,
            kernel: [3, 3],
            strides: [1, 1],
            padding: Padding::Same,
            dilation: [1, 1],
            depth_multiplier: 1,
            use_bias: true,
            activation: Activation::Swish,
        }),
        Layer::PRelu { shared_axes: vec![1, 2] },
        Layer::MaxPooling2d(pool.clone()),
        Layer::AveragePooling2d(pool),
        Layer::SpatialDropout2d { rate: 0.25 },
        Layer::LayerNormalization { axes: vec![-1], scale: false, center: true, epsilon: 1e-3 },
        Layer::Permute { dims: vec![2, 1, 3] },
        Layer::Reshape { target: vec![-1, 5] },
        Layer::GaussianNoise { stddev: 0.1 },
        Layer::Flatten,
        Layer::Dropout { rate: 0.5 },
        dense(7, Activation::Gelu { approximate: false }),
        dense(3, Activation::Linear),
    ];
    Architecture::sequential(vec![8, 8, 4], layers).unwrap()
}

/// A residual block.
fn residual() -> Architecture {
    let node = |name: &str, layer: Layer, inputs: &[Source]| Node {
        name: name.into(),
        layer,
        inputs: inputs.to_vec(),
    };
    let nodes = vec![
        node("first", Layer::Conv2d(conv(4)), &[Source::Input]),
        node("second", Layer::Conv2d(conv(4)), &[Source::Node(0)]),
        node("sum", Layer::Add, &[Source::Node(1), Source::Node(0)]),
        node("pool", Layer::GlobalAveragePooling2d { keepdims: true }, &[Source::Node(2)]),
        node("flat", Layer::Flatten, &[Source::Node(3)]),
        node("logits", dense(3, Activation::Linear), &[Source::Node(4)]),
    ];
    Architecture::graph(vec![8, 8, 4], nodes).unwrap()
}

fn logits(network: &Network) -> Tensor {
    let count: i64 = network.architecture().input_shape.iter().product();
    let mut shape = vec![2];
    shape.extend(&network.architecture().input_shape);
    let inputs = (Tensor::arange(2 * count, (Kind::Float, Device::Cpu)) * 0.37).sin().reshape(shape);
    tch::no_grad(|| network.forward(&inputs, Mode::Evaluate)).unwrap()
}

fn assert_same(a: &Network, b: &Network) {
    let weights = |network: &Network| -> Vec<Vec<u32>> {
        let bits = |tensor: &Tensor| -> Vec<u32> {
            let values = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
            values.iter().map(|value| value.to_bits()).collect()
        };
        network.weights().iter().flatten().map(bits).collect()
    };
    assert_eq!(weights(a), weights(b));
    assert_eq!(logits(a), logits(b));
}

#[test]
fn what_is_written_is_read_bit_for_bit() {
    for storage in [Storage::Plain, Storage::Compressed(6)] {
        for architecture in [chain(), residual()] {
            let folder = tempfile::tempdir().unwrap();
            let network = Network::initialize(architecture.clone(), 3, Device::Cpu).unwrap();
            let initial = Network::initialize(architecture, 4, Device::Cpu).unwrap();
            write_network(folder.path(), &network, Some(&initial), storage).unwrap();
            assert_same(&keras::read_network(folder.path(), None).unwrap(), &network);
            let start = folder.path().join("weights_init.hdf5");
            assert_same(&keras::read_network(folder.path(), Some(&start)).unwrap(), &initial);
        }
    }
}

#[test]
fn json_of_both_versions_of_keras_gives_the_same_architecture() {
    let path = Path::new("model.json");
    for dialect in [Dialect::Keras2, Dialect::Keras3] {
        for architecture in [chain(), residual()] {
            let written = keras::to_keras_json(&architecture, dialect, path).unwrap();
            let read = keras::Model::parse(&written.json, path).unwrap();
            assert_eq!(read.architecture, architecture, "{dialect}");
        }
    }
}

#[test]
fn old_kits_get_only_arguments_that_they_know() {
    let written = keras::to_pgdl_json(&chain(), Path::new("config.json")).unwrap();
    let first = &written.json["model_config"][1];
    assert_eq!(
        first.to_string(),
        r#"{"layer_name":"Conv2D","filters":8,"kernel_size":[3,3],"strides":[2,2],"padding":"same"}"#
    );
    let second = &written.json["model_config"][2];
    assert_eq!(second.to_string(), r#"{"layer_name":"LeakyReLU","alpha":0.1}"#);
}

#[test]
fn another_architecture_for_the_initial_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::initialize(chain(), 3, Device::Cpu).unwrap();
    let other = Network::initialize(residual(), 3, Device::Cpu).unwrap();
    assert!(write_network(folder.path(), &network, Some(&other), Storage::Plain).is_err());
}

/// Four networks of a 2 × 2 grid, with the accuracies that they have.
fn small_zoo(root: &Path) -> Zoo {
    let writer = ZooWriter::create(root).unwrap().compressed(4);
    let data = |count: i64, shift: f64| {
        let inputs = (Tensor::arange(count * 4, (Kind::Double, Device::Cpu)) * 0.9 + shift).sin();
        let labels = Tensor::arange(count, (Kind::Int64, Device::Cpu)).remainder(3);
        Dataset::new(inputs.reshape([count, 4]), labels).unwrap()
    };
    let (train, test) = (data(50, 0.0), data(30, 0.5));
    writer.write_shards(Split::Train, &train, 20).unwrap();
    writer.write_shards(Split::Test, &test, 20).unwrap();
    let axis = |name: &str, values: [f64; 2]| Hyperparameter {
        name: name.into(),
        possible_values: values.map(HyperValue::Number).to_vec(),
    };
    let mut networks = Vec::new();
    for (position, id) in [3_u64, 20, 100, 101].into_iter().enumerate() {
        let width = [5, 9][position % 2];
        let layers = vec![dense(width, Activation::Relu), dense(3, Activation::Linear)];
        let architecture = Architecture::sequential(vec![4], layers).unwrap();
        let network = Network::initialize(architecture.clone(), id, Device::Cpu).unwrap();
        let initial = Network::initialize(architecture, id + 1, Device::Cpu).unwrap();
        writer.write_network(id, &network, Some(&initial)).unwrap();
        let (train_acc, train_loss) = check::evaluate(&network, &train, 7).unwrap();
        let (test_acc, test_loss) = check::evaluate(&network, &test, 64).unwrap();
        networks.push(NetworkEntry {
            id,
            hyperparameters: vec![
                HyperValue::Number(width as f64),
                HyperValue::Number((position / 2) as f64),
            ],
            metrics: Some(Metrics {
                train_acc,
                test_acc,
                train_loss: Some(train_loss),
                test_loss: Some(test_loss),
            }),
            dev_name: Some(format!("network_{id}")),
        });
    }
    let listing =
        Listing { hyperparameters: vec![axis("width", [5.0, 9.0]), axis("seed", [0.0, 1.0])], networks };
    writer.write_listing(&listing).unwrap();
    Zoo::open(root).unwrap()
}

fn problems(zoo: &Zoo) -> Vec<String> {
    let report = check::check(zoo, &CheckOptions::default(), &mut |_| {}).unwrap();
    report.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_zoo_passes_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    assert_eq!(problems(&zoo), [""; 0]);
    let report = check::check(&zoo, &CheckOptions::default(), &mut |_| {}).unwrap();
    for network in report.networks {
        let (listed, computed) = (network.listed.unwrap(), network.computed);
        assert_eq!(Some(listed.train_acc), computed.train_acc);
        assert_eq!(Some(listed.test_acc), computed.test_acc);
        assert!((listed.test_loss.unwrap() - computed.test_loss.unwrap()).abs() < 1e-6);
    }
}

#[test]
fn what_differs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let zoo = small_zoo(root);
    let mut listing = zoo.listing().clone();
    // One sample of the 30 more than there are, and a loss off by a hundredth.
    let metrics = listing.networks[1].metrics.as_mut().unwrap();
    metrics.test_acc = (metrics.test_acc - 1.0 / 30.0).abs();
    let loss = metrics.train_loss.as_mut().unwrap();
    *loss *= 1.01;
    listing.networks[2].hyperparameters = listing.networks[0].hyperparameters.clone();
    listing.write(&root.join("model_configs.json")).unwrap();
    fs::remove_dir_all(root.join("model_101")).unwrap();
    fs::create_dir(root.join("model_7")).unwrap();
    // A changed byte in the middle of a shard.
    let shard = root.join("dataset_1/test/shard_1.tfrecord");
    let bytes = fs::read(&shard).unwrap();
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 4;
    fs::write(&shard, damaged).unwrap();
    let found = problems(&Zoo::open(root).unwrap());
    for sign in [
        "networks 3, 100 have the same hyperparameters",
        "1 combinations have no network, such as width = 5, seed = 1",
        "network 7: it has a folder, but is not listed",
        "network 101: it is listed, but has no folder",
        "network 20: train_loss",
        "test data: ",
    ] {
        assert!(found.iter().any(|problem| problem.contains(sign)), "no `{sign}` in {found:#?}");
    }
    assert_eq!(found.len(), 6, "{found:#?}");
    fs::write(&shard, bytes).unwrap();
    let found = problems(&Zoo::open(root).unwrap());
    assert!(
        found.iter().any(|problem| problem.contains("network 20: test_acc") && problem.contains("1 of 30"))
    );
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    let network = zoo.load(20).unwrap();
    let weights: Vec<Vec<Tensor>> =
        network.weights().iter().map(|tensors| tensors.iter().map(Tensor::copy).collect()).collect();
    let _ = weights[1][0].view([-1]).get(4).fill_(f64::NAN);
    let damaged = network.with_weights(weights).unwrap();
    write_network(&folder.path().join("model_20"), &damaged, None, Storage::Plain).unwrap();
    let found = problems(&zoo);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains("model_20/weights.hdf5") && found[0].contains("kernel") && found[0].contains("NaN")
    );
}

#[test]
fn an_exported_zoo_is_complete_and_has_the_same_content() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(&folder.path().join("small"));
    let to = folder.path().join("exported");
    let place = export(&zoo, &to, &mut |_| {}).unwrap();
    assert!(
        place.ends_with("input_data/small") && to.join("reference_data/small/model_configs.json").is_file()
    );
    for path in [&to, &place, &to.join("reference_data/small")] {
        let exported = Zoo::open(path).unwrap();
        assert_eq!(exported.name(), "small");
        assert_eq!(exported.digest().unwrap(), zoo.digest().unwrap());
    }
    assert_eq!(problems(&Zoo::open(&to).unwrap()), [""; 0]);
    assert!(export(&zoo, &to, &mut |_| {}).is_err(), "a folder that holds something is not overwritten");
}

/// All files below a folder, with the names between.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

#[test]
fn the_competitions_archives_are_imported_as_downloaded() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(&folder.path().join("task1_v4"));
    let exported = folder.path().join("public");
    export(&zoo, &exported, &mut |_| {}).unwrap();
    // The archive of the inputs, with what other systems leave in archives; the reference data apart.
    let archive = folder.path().join("public_data.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&archive).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for file in files(&exported.join("input_data")) {
        let name = file.strip_prefix(&exported).unwrap().to_str().unwrap();
        for name in [format!("public_data/{name}"), format!("__MACOSX/public_data/{name}")] {
            zip.start_file(name, options).unwrap();
            zip.write_all(&fs::read(&file).unwrap()).unwrap();
        }
    }
    for litter in ["public_data/.DS_Store", "public_data/input_data/task1_v4/model_3/._weights.hdf5"] {
        zip.start_file(litter, options).unwrap();
        zip.write_all(b"litter").unwrap();
    }
    zip.finish().unwrap();
    let to = folder.path().join("zoos");
    let archives = [archive.clone(), exported.join("reference_data")];
    let mut last = 0;
    let places = import_competition(&archives, &to, &mut |event| {
        assert!(event.done > last && event.done <= event.total);
        last = event.done;
    })
    .unwrap();
    assert_eq!(places.len(), 1);
    assert_eq!(places[0].name, "task1_v4");
    let imported = Zoo::open(&places[0].path).unwrap();
    assert_eq!(imported.digest().unwrap(), zoo.digest().unwrap());
    assert_eq!(files(&to).len(), files(&exported).len());
    assert!(
        import_competition(&archives, &to, &mut |_| {}).is_err(),
        "a task that is there is not overwritten"
    );
    // A truncated archive leaves nothing behind.
    let bytes = fs::read(&archive).unwrap();
    fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
    let other = folder.path().join("other");
    assert!(import_competition(&[archive], &other, &mut |_| {}).is_err());
    assert!(!other.exists());
}

#[test]
fn a_table_of_keras_models_becomes_a_zoo() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let zoo = small_zoo(&root.join("small"));
    let mut table = "id,file,init_file,train_acc,test_acc,width,note\n".to_owned();
    for network in zoo.networks() {
        let metrics = network.metrics.unwrap();
        let id = network.id;
        table += &format!(
            "{id},small/model_{id},small/model_{id}/weights_init.hdf5,{},{},{},n{}\n",
            metrics.train_acc,
            metrics.test_acc,
            network.hyperparameters[0],
            id / 100
        );
    }
    let path = root.join("table.csv");
    fs::write(&path, &table).unwrap();
    let data = root.join("small/dataset_1");
    let imported = import_keras(&path, &root.join("imported"), Some(&data), &mut |_, _| {}).unwrap();
    assert_eq!(problems(&imported), [""; 0]);
    assert_eq!(imported.hyperparameters().len(), 2);
    assert_eq!(imported.data_digest().unwrap(), zoo.data_digest().unwrap());
    for network in zoo.networks() {
        assert_same(&imported.load(network.id).unwrap(), &zoo.load(network.id).unwrap());
        let initial = |zoo: &Zoo| zoo.load_initial(network.id).unwrap().unwrap();
        assert_same(&initial(&imported), &initial(&zoo));
    }
    for (bad, sign) in [
        (table.replace("small/model_20,", "small/model_21,"), "line 3"),
        (table.replace("id,file", "id,files"), "no column file"),
        (table.replace("20,small", "3,small"), "id 3 stands twice"),
        (table.replace(",n1", ","), "note is missing"),
        (table.replacen(",n0", "", 1), "line 2"),
        ("file,train_acc,test_acc,file\n".into(), "file stands twice"),
        ("file,train_acc,test_acc\n".into(), "no rows"),
    ] {
        fs::write(&path, bad).unwrap();
        let to = root.join("bad");
        let message = import_keras(&path, &to, None, &mut |_, _| {}).unwrap_err().to_string();
        assert!(message.contains(sign) && message.contains("table.csv"), "{message}");
        assert!(!to.exists());
    }
}
