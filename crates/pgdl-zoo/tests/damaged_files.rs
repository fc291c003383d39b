//! Real files, truncated and changed at many places: reading them is an error or a result, never a panic, and never
//! asks for more memory than a sound file would.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use pgdl_network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::keras::{Model, read_network};
use pgdl_zoo::writer::write_network;
use pgdl_zoo::{Listing, ZooError};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tch::Device;

/// Remembers the largest piece of memory that was asked for. (Tensors come from libtorch, and are asked for only after
/// the file is known to hold their values.)
struct Watching;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// The files here have 0.1 MB; a few megabytes serve as buffers.
const PLENTY: usize = 24 << 20;

fn reference(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
    let path = std::env::var_os("PGDL_REFERENCE").map_or_else(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} not found", path.display());
    None
}

/// A way to read a file that is put in place of a sound one.
type Read<'a> = dyn Fn(&Path) -> Result<(), ZooError> + 'a;

/// Puts damaged copies of `original` into a folder, and reads them.
fn damage(original: &Path, seed: u64, flips: usize, read: &Read<'_>) {
    let bytes = fs::read(original).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(original.file_name().unwrap());
    fs::write(&path, &bytes).unwrap();
    read(&path).unwrap_or_else(|error| panic!("the sound file: {error}"));
    let mut generator = StdRng::seed_from_u64(seed);
    let mut cuts: Vec<usize> = (0..100).map(|part| part * bytes.len() / 100).collect();
    cuts.extend((0..50).map(|_| generator.random_range(0..bytes.len())));
    for length in cuts {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = read(&path).expect_err(&format!("{} of {} bytes are read", length, bytes.len()));
        assert!(error.to_string().contains(folder.path().to_str().unwrap()), "no file in: {error}");
    }
    let mut errors = 0;
    for _ in 0..flips {
        let mut damaged = bytes.clone();
        // Damage comes alone, and in rows.
        for _ in 0..*[1, 1, 1, 3, 8].choose(&mut generator).unwrap() {
            let at = generator.random_range(0..bytes.len());
            damaged[at] = match generator.random_range(0..4) {
                0 => 0,
                1 => 0xff,
                2 => generator.random(),
                _ => damaged[at] ^ (1 << generator.random_range(0..8)),
            };
        }
        fs::write(&path, damaged).unwrap();
        errors += usize::from(read(&path).is_err());
    }
    assert!(errors > 0, "{flips} changes, and no error");
    assert_memory(original);
}

fn assert_memory(path: &Path) {
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= PLENTY, "{}: {largest} bytes were asked for at once", path.display());
}

#[test]
fn whole_models() {
    let Some(folder) = reference("keras") else { return };
    for (seed, name) in ["tfk_gap.keras", "tfk_gap_model.h5", "k3.keras", "k3_legacy.h5"].iter().enumerate() {
        damage(&folder.join(name), seed as u64, 600, &|path| read_network(path, None).map(drop));
    }
}

#[test]
fn files_of_weights() {
    let Some(folder) = reference("keras") else { return };
    for (seed, name, config) in [
        (11, "tfk_gap_weights.hdf5", "tfk_gap_config.json"),
        (12, "tfk_gap.weights.h5", "tfk_gap_config.json"),
        (13, "k3.weights.h5", "k3_config.json"),
    ] {
        let config = folder.join(config);
        damage(&folder.join(name), seed, 600, &|path| read_network(&config, Some(path)).map(drop));
    }
}

#[test]
fn the_sample_tasks_files() {
    let Some(task) = reference("pgdl_toy") else { return };
    let (config, weights) = (task.join("model_9/config.json"), task.join("model_9/weights.hdf5"));
    damage(&weights, 21, 1500, &|path| read_network(&config, Some(path)).map(drop));
    damage(&config, 22, 500, &|path| read_network(path, Some(&weights)).map(drop));
    damage(&task.join("model_configs.json"), 23, 500, &|path| Listing::read(path).map(drop));
}

#[test]
fn files_of_our_own() {
    let layers = vec![
        Layer::Dense(Dense { units: 40, use_bias: true, activation: Activation::Relu }),
        Layer::Dense(Dense { units: 4, use_bias: true, activation: Activation::Linear }),
    ];
    let architecture = Architecture::sequential(vec![30], layers).unwrap();
    let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
    for storage in [Storage::Plain, Storage::Compressed(9)] {
        let folder = tempfile::tempdir().unwrap();
        write_network(folder.path(), &network, None, storage).unwrap();
        let config = folder.path().join("config.json");
        damage(&folder.path().join("weights.hdf5"), 31, 1500, &|path| {
            read_network(&config, Some(path)).map(drop)
        });
    }
}

/// Values that fit nowhere.
fn strange_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(7.5),
        json!(1e308),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(i64::from(i32::MAX)),
        json!(65536),
        json!(""),
        json!("relu"),
        json!([]),
        json!([0, 0]),
        json!([-1, 3]),
        json!([i64::from(i32::MAX), i64::from(i32::MAX)]),
        json!([[1, 2], [3, i64::MAX]]),
        json!({}),
        json!({ "class_name": "ReLU", "config": { "max_value": -1 } }),
    ]
}

/// All places in a JSON value, as pointers.
fn pointers(value: &Value, prefix: &str, pointers: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| {
            self::pointers(item, &format!("{prefix}/{at}"), pointers);
        }),
        Value::Object(object) => object.iter().for_each(|(key, item)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            self::pointers(item, &format!("{prefix}/{key}"), pointers);
        }),
        _ => {}
    }
    pointers.push(prefix.to_owned());
}

#[test]
fn settings_of_any_value() {
    let Some(folder) = reference("keras") else { return };
    let mut files = vec![folder.join("tfk_gap_config_old.json"), folder.join("k3_config.json")];
    files.extend(reference("pgdl_toy/model_9/config.json"));
    let (mut tried, mut read) = (0, 0);
    for file in files {
        let sound: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        Model::parse(&sound, &file).unwrap();
        let mut places = Vec::new();
        pointers(&sound, "", &mut places);
        for place in &places {
            for strange in strange_values() {
                let mut damaged = sound.clone();
                *damaged.pointer_mut(place).unwrap() = strange;
                tried += 1;
                read += usize::from(Model::parse(&damaged, &file).is_ok());
            }
            let mut damaged = sound.clone();
            let (parent, key) = place.rsplit_once('/').unwrap_or(("", ""));
            match damaged.pointer_mut(parent) {
                Some(Value::Object(object)) => drop(object.remove(key)),
                Some(Value::Array(items)) => drop(items.remove(key.parse().unwrap())),
                _ => {}
            }
            tried += 1;
            read += usize::from(Model::parse(&damaged, &file).is_ok());
        }
    }
    assert!(read < tried, "{read} of {tried}");
    assert_memory(&folder);
}

#[test]
fn an_architecture_of_any_size_is_compared_with_its_file_before_memory_is_taken() {
    let Some(task) = reference("pgdl_toy/model_9") else { return };
    let folder = tempfile::tempdir().unwrap();
    for units in [129_i64, 1 << 20, 1 << 30] {
        let config = json!({
            "model_config": [{ "layer_name": "Dense", "units": units }, { "layer_name": "Dense", "units": 128 },
                { "layer_name": "Dense", "units": 2 }],
            "input_shape": [3],
        });
        let path = folder.path().join("config.json");
        fs::write(&path, config.to_string()).unwrap();
        let message = read_network(&path, Some(&task.join("weights.hdf5"))).unwrap_err().to_string();
        assert!(message.contains("[3, 128]") && message.contains(&units.to_string()), "{message}");
    }
    assert_memory(&task);
}

#[test]
fn a_bomb_in_an_archive_is_not_unpacked() {
    use std::io::Write;
    let Some(folder) = reference("keras") else { return };
    let mut archive = zip::ZipArchive::new(fs::File::open(folder.join("k3.keras")).unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("bomb.keras");
    let mut bomb = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let deflated =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    bomb.start_file("config.json", deflated).unwrap();
    std::io::copy(&mut archive.by_name("config.json").unwrap(), &mut bomb).unwrap();
    bomb.start_file("model.weights.h5", deflated).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        bomb.write_all(&zeros).unwrap();
    }
    bomb.finish().unwrap();
    let message = read_network(&path, None).unwrap_err().to_string();
    assert!(message.contains("larger than it can be"), "{message}");
    assert_memory(&path);
}

/// An archive of the first of Omniglot's drawings, damaged; with a drawing whose header claims 2³⁰ pixels a side, under a right
/// checksum; with one that unpacks to 200 MB.
#[test]
fn drawings() {
    use pgdl_zoo::data::omniglot;
    use std::io::{Read as _, Write};
    let Some(folder) = reference("omniglot") else { return };
    let source = fs::File::open(folder.join("images_background_small1.zip")).unwrap();
    let mut source = zip::ZipArchive::new(source).unwrap();
    let names: Vec<String> =
        source.file_names().filter(|name| name.ends_with(".png")).map(str::to_owned).collect();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("few.zip");
    let options = zip::write::SimpleFileOptions::default();
    let mut few = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for name in &names[..40] {
        few.raw_copy_file(source.by_name(name).unwrap()).unwrap();
    }
    few.finish().unwrap();
    damage(&path, 9, 300, &|path| omniglot::read(path).map(drop));

    let mut drawing = Vec::new();
    source.by_name(&names[0]).unwrap().read_to_end(&mut drawing).unwrap();
    drawing[16..24].copy_from_slice(&[0x40, 0, 0, 0, 0x40, 0, 0, 0]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&drawing[12..29]);
    drawing[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    let zeros = vec![0; 1 << 20];
    for (bytes, times, reason) in
        [(drawing, 1, "limits are exceeded"), (zeros, 200, "larger than a drawing can be")]
    {
        let mut hostile = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        hostile.start_file("set/A/character01/1.png", options).unwrap();
        for _ in 0..times {
            hostile.write_all(&bytes).unwrap();
        }
        hostile.finish().unwrap();
        let message = omniglot::read(&path).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
    assert_memory(&path);
}
