//! Data files that others wrote: the competition's sample task and NumPy archives.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use pgdl_zoo::Split;
use pgdl_zoo::data::{npy, shards};
use pgdl_zoo::fetch::{ensure_in, named};
use tch::Kind;

/// A path in the reference data, at `$PGDL_REFERENCE` or beside the repository; nothing, and a note, when absent.
fn reference(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PGDL_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference"),
        PathBuf::from,
    );
    let path = root.join(name);
    if !path.exists() {
        println!("skipped: {} not found", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn shards_of_the_sample_task_are_read() {
    let Some(folder) = reference("pgdl_toy/dataset_1") else { return };
    for (split, count, first) in [("train", 200, "shard_0.tfrecord"), ("test", 100, "shard_0.tfrecord")] {
        let folder = folder.join(split);
        let paths = shards::paths(&folder).unwrap();
        assert_eq!(paths.len(), 3);
        assert!(paths[0].ends_with(first));
        assert_eq!(shards::count(&folder).unwrap(), count);
        let data = shards::read(&folder).unwrap();
        assert_eq!((data.len(), data.input_shape(), data.classes().unwrap()), (count, vec![3], 2));
    }
    // The digest of the arrays that TensorFlow reads from these shards, computed in Python as `Dataset::digest` says.
    let test = shards::read(&folder.join("test")).unwrap();
    assert_eq!(test.digest().unwrap(), "03526f42fe06a79325b8f7f7a0a8281cf40ee4e5b8bcc312b4a045fac38d17a3");
}

#[test]
fn damaged_shards_of_the_sample_task_are_errors() {
    let Some(folder) = reference("pgdl_toy/dataset_1/test") else { return };
    let whole = std::fs::read(folder.join("shard_1.tfrecord")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shard_1.tfrecord");
    for position in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let error = shards::read(place.path()).unwrap_err().to_string();
        assert!(error.contains("shard_1.tfrecord") && error.contains("record"), "byte {position}: {error}");
        if position % 82 != 0 {
            std::fs::write(&path, &whole[..position]).unwrap();
            assert!(shards::read(place.path()).is_err(), "{position} bytes");
        }
    }
}

#[test]
fn archives_that_numpy_wrote_are_read() {
    let Some(path) = reference("keras/k3_io.npz") else { return };
    let names = npy::npz_names(&path).unwrap();
    assert!(names.contains(&"act/block1_conv1".to_owned()), "{names:?}");
    let x = npy::read_npz(&path, "x").unwrap();
    assert_eq!((x.size(), x.kind()), (vec![16, 16, 16, 3], Kind::Float));
    let probabilities = npy::read_at(&format!("{}:probs", path.display())).unwrap();
    assert_eq!(probabilities.size(), [16, 10]);
    let sums = probabilities.sum_dim_intlist(1, false, Kind::Double);
    assert!(f64::try_from((sums - 1.0).abs().max()).unwrap() < 1e-6);
}

#[test]
fn omniglots_small_sets_are_read() {
    let Some(folder) = reference("omniglot") else { return };
    // Characters of each alphabet, in order, as `unzip -l` counts their folders; and pixels of ink in all, as Pillow counts
    // them: sum(105 * 105 - numpy.asarray(Image.open(file)).sum()).
    let sets = [
        ("omniglot_small1", [24, 22, 24, 40, 26].as_slice(), 2_286_596),
        ("omniglot_small2", [24, 47, 26, 42, 17].as_slice(), 2_757_599),
    ];
    let mut read = Vec::new();
    for (name, alphabets, ink) in sets {
        let data = named(name).unwrap();
        // As a user who has the file puts it there, checksum and all.
        let place = tempfile::tempdir().unwrap();
        std::fs::copy(folder.join(data.files[0].name), place.path().join(data.files[0].name)).unwrap();
        ensure_in(place.path(), data, true, &mut |_| {}).unwrap();
        let images = data.read(place.path(), Split::Train).unwrap();
        let characters: usize = alphabets.iter().sum();
        assert_eq!((images.len(), data.classes), (20 * characters, characters));
        let expected: Vec<u8> = (0..images.len()).map(|drawing| (drawing / 20) as u8).collect();
        assert!(images.labels == expected, "20 drawings per character");
        assert!(images.pixels.iter().all(|pixel| [0, 255].contains(pixel)));
        assert_eq!(images.pixels.iter().filter(|pixel| **pixel == 255).count(), ink);
        let error = data.read(place.path(), Split::Test).unwrap_err();
        assert!(error.to_string().contains("test half") && error.hint().unwrap().contains(name), "{error}");
        read.push(images);
    }
    // The second set's Greek and Latin are the first set's; the other three alphabets share no drawing with it.
    let first: HashSet<&[u8]> = (0..read[0].len()).filter_map(|index| read[0].image(index)).collect();
    let shared: Vec<usize> =
        (0..read[1].len()).filter(|index| first.contains(read[1].image(*index).unwrap())).collect();
    assert!(shared.into_iter().eq((0..480).chain(1420..1940)));
}
