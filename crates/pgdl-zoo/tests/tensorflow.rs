//! Shards against real TensorFlow, both ways. Needs a Python with TensorFlow in `PGDL_KERAS_PYTHON`; `scripts/interchange`
//! makes one and runs these tests.

use std::path::Path;
use std::process::Command;

use pgdl_zoo::Dataset;
use pgdl_zoo::data::{npy, shards};
use tch::{Device, Kind, Tensor};

fn python(script: &str, arguments: &[&Path]) {
    let python =
        std::env::var_os("PGDL_KERAS_PYTHON").expect("PGDL_KERAS_PYTHON names a Python with TensorFlow");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/keras").join(script);
    let output = Command::new(python)
        .arg(&script)
        .args(arguments)
        .env("TF_CPP_MIN_LOG_LEVEL", "3")
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .expect("Python starts");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {messages}", script.display());
}

fn digest(archive: &Path) -> String {
    let array = |name| npy::read_npz(archive, name).unwrap();
    Dataset::new(array("inputs"), array("labels")).unwrap().digest().unwrap()
}

#[test]
#[ignore = "needs TensorFlow: run scripts/interchange"]
fn shards_that_tensorflow_writes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    python("shards_write.py", &[&made]);
    let read = |name: &str| shards::read(&made.join(name)).unwrap();
    let expected = digest(&made.join("expected.npz"));
    assert_eq!(read("content").digest().unwrap(), expected);
    assert_eq!(read("values").digest().unwrap(), expected);
    assert_eq!(read("constant").digest().unwrap(), digest(&made.join("expected_constant.npz")));
    let zero = read("zero");
    assert_eq!(zero.inputs.size(), [36, 5, 4, 3]);
    assert_eq!(f64::try_from(zero.inputs.abs().max()).unwrap(), 0.0);
    assert_eq!(i64::try_from(zero.labels.max()).unwrap(), 0);
}

#[test]
#[ignore = "needs TensorFlow: run scripts/interchange"]
fn shards_that_we_write_are_read_by_tensorflow_as_the_kit_does() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = (Tensor::arange(35 * 60, (Kind::Float, Device::Cpu)) / 7).sin().reshape([35, 5, 4, 3]);
    let data = Dataset::new(inputs, Tensor::arange(35, (Kind::Int64, Device::Cpu)).remainder(9)).unwrap();
    shards::write(folder.path(), &data, 3).unwrap();
    let output = folder.path().join("read.npz");
    python("shards_read.py", &[folder.path(), &output]);
    assert_eq!(digest(&output), data.digest().unwrap());
}
