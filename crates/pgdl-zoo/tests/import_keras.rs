//! `import_keras`: a table of Keras models becomes a zoo.

mod small_zoo;

use std::fs;
use std::path::{Path, PathBuf};

use pgdl_network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_zoo::data::shards;
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::keras::{Dialect, to_keras_json, write_weights, write_weights_named};
use pgdl_zoo::{CheckOptions, HyperValue, ImportEvent, ImportedZoo, Result, Zoo, check, import_keras};
use small_zoo::{files, small_zoo};
use tch::{Device, Tensor};

struct Place {
    folder: tempfile::TempDir,
    zoo: Zoo,
    table: String,
}

impl Place {
    /// Four models in as many forms: PGDL folders, and a Keras JSON with its weights.
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let zoo = small_zoo(&folder.path().join("small"));
        let mut table =
            "id,file,weights_file,init_file,train_acc,test_acc,test_loss,width,optimizer\n".to_owned();
        for network in zoo.networks() {
            let (id, metrics) = (network.id, network.metrics.unwrap());
            let (file, weights) = if id == 100 {
                json_model(&zoo, id, folder.path())
            } else {
                (format!("small/model_{id}"), String::new())
            };
            let optimizer = if id < 100 { "sgd" } else { "adam" };
            table += &format!(
                "{id},{file},{weights},small/model_{id}/weights_init.hdf5,{},{},{},{},{optimizer}\n",
                metrics.train_acc,
                metrics.test_acc,
                metrics.test_loss.unwrap(),
                network.hyperparameters[0],
            );
        }
        Place { folder, zoo, table }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import(&self, table: &str, to: &str, data: Option<&str>) -> Result<ImportedZoo> {
        let path = self.path("table.csv");
        fs::write(&path, table).unwrap();
        import_keras(&path, &self.path(to), data.map(|data| self.path(data)).as_deref(), &mut |_| {})
    }

    fn refused(&self, table: &str, data: Option<&str>, signs: &[&str]) {
        let error = self.import(table, "refused", data).unwrap_err();
        for sign in signs {
            assert!(error.to_string().contains(sign), "`{sign}` in {error}");
        }
        let names: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().contains("refused")), "{names:?}");
    }
}

/// A network as Keras 3's JSON and a file of weights.
fn json_model(zoo: &Zoo, id: u64, folder: &Path) -> (String, String) {
    let network = zoo.load(id).unwrap();
    let written = to_keras_json(network.architecture(), Dialect::Keras3, Path::new("model.json")).unwrap();
    fs::write(folder.join("model.json"), written.json.to_string()).unwrap();
    write_weights_named(&folder.join("model.h5"), &network, &written, Storage::Plain).unwrap();
    ("model.json".to_owned(), "model.h5".to_owned())
}

fn values(network: &Network) -> Vec<Tensor> {
    network.weights().iter().flatten().map(Tensor::shallow_clone).collect()
}

#[test]
fn a_table_of_models_becomes_a_zoo_that_checks_out() {
    let place = Place::new();
    let path = place.path("table.csv");
    fs::write(&path, &place.table).unwrap();
    let mut done = 0;
    let imported =
        import_keras(&path, &place.path("imported"), Some(&place.path("small/dataset_1")), &mut |event| {
            let ImportEvent::Network { done: networks, total: 4 } = event else { panic!("{event:?}") };
            done += 1;
            assert_eq!(networks, done);
        })
        .unwrap();
    assert_eq!((done, imported.warnings.as_slice()), (4, [].as_slice()));
    let zoo = imported.zoo;
    let axes: Vec<&str> = zoo.hyperparameters().iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(axes, ["width", "optimizer"]);
    let text = |text: &str| HyperValue::Text(text.to_owned());
    assert_eq!(zoo.hyperparameters()[1].possible_values, [text("adam"), text("sgd")]);
    assert_eq!(zoo.data_digest().unwrap(), place.zoo.data_digest().unwrap());
    for network in place.zoo.networks() {
        let same = |a: Network, b: Network| assert_eq!(values(&a), values(&b), "{}", network.id);
        same(zoo.load(network.id).unwrap(), place.zoo.load(network.id).unwrap());
        let initial = |zoo: &Zoo| zoo.load_initial(network.id).unwrap().unwrap();
        same(initial(&zoo), initial(&place.zoo));
    }
    let report = check(&zoo, &CheckOptions::default(), &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
    assert_eq!(fs::read_dir(zoo.root()).unwrap().count(), 4 + 2, "networks, listing, data");
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let place = Place::new();
    let table =
        place.table.replace("test_loss", "test_los").replace("optimizer", "wd").replace("adam", "sgd");
    let imported = place.import(&table, "imported", None).unwrap();
    let warnings = imported.warnings.join("\n");
    for sign in ["`test_los` is taken for a hyperparameter; did you mean `test_loss`?", "no data", "the grid"]
    {
        assert!(warnings.contains(sign), "`{sign}` in {warnings}");
    }
    assert!(!imported.zoo.root().join("dataset_1").exists());
}

#[test]
fn nothing_is_overwritten() {
    let place = Place::new();
    fs::create_dir(place.path("taken")).unwrap();
    fs::write(place.path("taken/file"), b"").unwrap();
    let error = place.import(&place.table, "taken", None).unwrap_err().to_string();
    assert!(error.contains("taken is not empty"), "{error}");
    assert_eq!(files(&place.path("taken")).len(), 1);
}

#[test]
fn models_that_cannot_be_read_are_named_with_their_row() {
    let place = Place::new();
    let missing_column = place.table.replace("id,file", "id,files");
    place.refused(&missing_column, None, &["table.csv", "column `file`"]);
    let whole = fs::read(place.path("small/model_20/weights.hdf5")).unwrap();
    fs::write(place.path("small/model_20/weights.hdf5"), &whole[..whole.len() / 2]).unwrap();
    place.refused(&place.table, None, &["table.csv: row 2 (line 3)", "model_20/weights.hdf5"]);
    fs::write(place.path("small/model_20/weights.hdf5"), &whole).unwrap();
    // Weights of another architecture.
    let swapped = place.table.replace("small/model_20/weights_init", "small/model_3/weights_init");
    place.refused(&swapped, None, &["row 2", "model_3/weights_init.hdf5"]);
    // JSON without its weights.
    let alone = place.table.replace("model.json,model.h5", "model.json,");
    place.refused(&alone, None, &["row 3", "model.json", "weights"]);
    fs::write(place.path("notes.txt"), "no model").unwrap();
    let text = place.table.replace("small/model_20,", "notes.txt,");
    place.refused(&text, None, &["row 2", "notes.txt"]);
}

#[test]
fn networks_and_data_must_fit_each_other() {
    let place = Place::new();
    let dense = |units| Layer::Dense(Dense { units, use_bias: true, activation: Activation::Linear });
    let odd = Architecture::sequential(vec![2, 2, 1], vec![Layer::Flatten, dense(4)]).unwrap();
    let odd = Network::initialize(odd, 0, Device::Cpu).unwrap();
    let written = to_keras_json(odd.architecture(), Dialect::Keras2, Path::new("odd.json")).unwrap();
    fs::write(place.path("odd.json"), written.json.to_string()).unwrap();
    write_weights(&place.path("odd.h5"), &odd, Storage::Plain).unwrap();
    let table =
        place.table.replace("20,small/model_20,,small/model_20/weights_init.hdf5", "20,odd.json,odd.h5,");
    place.refused(&table, None, &["row 2", "odd.json", "4 classes", "have [2, 2, 1] and 3"]);

    let wide =
        pgdl_zoo::Dataset::new(small_zoo::train().inputs.reshape([50, 4, 1, 1]), small_zoo::train().labels);
    shards::write(&place.path("wide/train"), &wide.unwrap(), 50).unwrap();
    place.refused(&place.table, Some("wide"), &["wide/train", "[4, 1, 1]"]);
    place.refused(&place.table, Some("nowhere"), &["nowhere/train"]);
    fs::write(place.path("data.json"), "{}").unwrap();
    place.refused(&place.table, Some("data.json"), &["data.json"]);
    let shard = place.path("small/dataset_1/train/shard_1.tfrecord");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[40] ^= 1;
    fs::write(&shard, bytes).unwrap();
    place.refused(&place.table, Some("small/dataset_1"), &["shard_1.tfrecord"]);
}

#[test]
fn a_zoo_may_name_its_data() {
    let place = Place::new();
    let digest = "0".repeat(64);
    let reference = format!(
        r#"{{"schema":1,"dataset":"mnist","train":{{"split":"train","indices":"0-9","count":10,"sha256":"{digest}"}},
            "transform":{{"scale":1,"mean":[0],"std":[1]}}}}"#
    );
    fs::write(place.path("data.json"), &reference).unwrap();
    let imported = place.import(&place.table, "imported", Some("data.json")).unwrap();
    assert_eq!(imported.zoo.data_reference().unwrap().dataset, "mnist");
    assert_eq!(fs::read_to_string(imported.zoo.root().join("dataset_1/data.json")).unwrap(), reference);
}
