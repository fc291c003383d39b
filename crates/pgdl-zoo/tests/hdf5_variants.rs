//! HDF5 files of libhdf5, in every way in which arrays and names can lie in them. Needs a Python with h5py in
//! `PGDL_KERAS_PYTHON`; `scripts/interchange` makes one and runs this test.

use std::fs;
use std::path::Path;
use std::process::Command;

use pgdl_zoo::ZooError;
use pgdl_zoo::data::npy::read_npy;
use pgdl_zoo::hdf5::File;

type Content = (Vec<String>, Vec<u64>, Vec<f32>);

fn read(path: &Path) -> Result<Content, ZooError> {
    let file = File::open(path)?;
    let within = || -> Result<Content, pgdl_zoo::hdf5::Problem> {
        let group = file.root().unwrap().child("group")?.unwrap();
        let names = group.strings("names")?.unwrap();
        if let Some(none) = group.strings("none")? {
            assert!(none.is_empty());
            assert_eq!(group.strings("one")?.unwrap(), ["single"]);
        }
        let array = group.child("values")?.unwrap().dataset()?;
        array.check_storage()?;
        let mut values = vec![0.0; array.shape().iter().product::<u64>() as usize];
        array.read_f32(&mut values)?;
        Ok((names, array.shape().to_vec(), values))
    };
    within().map_err(|problem| problem.at(path))
}

#[test]
#[ignore = "needs h5py: run scripts/interchange"]
fn files_of_libhdf5_are_read() {
    let python = std::env::var_os("PGDL_KERAS_PYTHON").expect("PGDL_KERAS_PYTHON names a Python with h5py");
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/keras/hdf5_variants.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = read_npy(&folder.path().join("expected.npy")).unwrap();
    let expected = Vec::<f32>::try_from(expected.flatten(0, -1)).unwrap();
    let names = ["zero", "один", "", &"long".repeat(50)];
    let (mut sound, mut refused) = (0, 0);
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".h5") {
            continue;
        }
        match (read(&path), name.starts_with("unsupported")) {
            (Ok(content), false) => {
                assert_eq!(content.0, names, "{name}");
                assert_eq!(content.1, [7, 5, 3], "{name}");
                assert_eq!(content.2, expected, "{name}");
                sound += 1;
            }
            (Err(ZooError::Unsupported { .. }), true) => refused += 1,
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!((sound, refused), (24, 4));
}
