//! What is written is what is read, and damaged files are errors.

use std::io::Cursor;

use super::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("layer_{index}")).collect()
}

fn written(root: &Group<'_>, storage: Storage) -> Vec<u8> {
    let mut sink = Cursor::new(Vec::new());
    write(root, storage, &mut sink).unwrap();
    sink.into_inner()
}

fn opened(bytes: Vec<u8>) -> crate::Result<File> {
    File::from_source(Source::Memory(bytes), Path::new("test.h5"))
}

fn sample<'a>(values: &'a [f32], members: usize) -> Group<'a> {
    let mut root = Group::default();
    root.attributes.push(("layer_names".into(), Attribute::Texts(names(members))));
    root.attributes.push(("backend".into(), Attribute::Text("tensorflow".into())));
    for name in names(members) {
        let array = Array { shape: vec![values.len() as u64 / 4, 4], values };
        let mut group = Group::default();
        group.attributes.push(("weight_names".into(), Attribute::Texts(vec![])));
        group.members.push(("kernel:0".into(), Node::Array(array)));
        root.members.push((name, Node::Group(group)));
    }
    root
}

#[test]
fn groups_of_any_size_are_read_back() {
    let values: Vec<f32> = (0..64).map(|i| i as f32 * 0.5).collect();
    for members in [0, 1, 8, 9, 64, 65, 700] {
        let file = opened(written(&sample(&values, members), Storage::Plain)).unwrap();
        let root = file.root().unwrap();
        assert_eq!(root.children().unwrap().count(), members);
        assert_eq!(root.strings("layer_names").unwrap(), Some(names(members)));
        assert_eq!(root.strings("backend").unwrap(), Some(vec!["tensorflow".into()]));
        assert_eq!(root.strings("missing").unwrap(), None);
        for name in names(members) {
            let group = root.child(&name).unwrap().unwrap();
            assert_eq!(group.strings("weight_names").unwrap(), Some(vec![]));
            let array = root.child(&format!("{name}/kernel:0")).unwrap().unwrap().dataset().unwrap();
            assert_eq!(array.shape(), [16, 4]);
            let mut read = vec![0.0; 64];
            array.read_f32(&mut read).unwrap();
            assert_eq!(read, values);
        }
        assert!(root.child("layer_x").unwrap().is_none());
    }
}

#[test]
fn compression_keeps_every_bit() {
    let values: Vec<f32> = (0..40_000).map(|i| ((i % 100) as f32).sin()).collect();
    let plain = written(&sample(&values, 2), Storage::Plain);
    let small = written(&sample(&values, 2), Storage::Compressed(9));
    assert!(small.len() * 10 < plain.len());
    let file = opened(small).unwrap();
    let array = file.root().unwrap().child("layer_1/kernel:0").unwrap().unwrap().dataset().unwrap();
    let mut read = vec![0.0; values.len()];
    array.read_f32(&mut read).unwrap();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&values));
}

/// Reads what a reader of weights reads.
fn read_weights(root: &Object<'_>) -> Result<()> {
    root.strings("layer_names")?;
    let names: Vec<String> = root.children()?.map(str::to_owned).collect();
    for name in names {
        let Some(layer) = root.child(&name)? else { return malformed("no layer") };
        layer.strings("weight_names")?;
        let Some(weight) = layer.child("kernel:0")? else { return malformed("no weight") };
        let array = weight.dataset()?;
        array.check_storage()?;
        let count: u64 = array.shape().iter().product();
        array.read_f32(&mut vec![0.0; count as usize])?;
    }
    Ok(())
}

#[test]
fn every_truncation_is_an_error() {
    let values = [1.0; 64];
    for storage in [Storage::Plain, Storage::Compressed(6)] {
        let bytes = written(&sample(&values, 10), storage);
        for length in 0..bytes.len() {
            let result = opened(bytes[..length].to_vec());
            assert!(matches!(result, Err(ZooError::Malformed { .. })), "{length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn a_changed_byte_anywhere_never_panics() {
    let values: Vec<f32> = (0..256).map(|i| (i % 7) as f32).collect();
    for storage in [Storage::Plain, Storage::Compressed(6)] {
        let bytes = written(&sample(&values, 2), storage);
        let mut errors = 0;
        for at in 0..bytes.len() {
            for change in [0x01, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                let Ok(file) = opened(damaged) else {
                    errors += 1;
                    continue;
                };
                let read = file.root().map_err(drop).and_then(|root| read_weights(&root).map_err(drop));
                errors += usize::from(read.is_err());
            }
        }
        assert!(errors > 1000, "only {errors} errors");
    }
}
