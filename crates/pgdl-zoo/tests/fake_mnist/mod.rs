//! Images of the form of MNIST.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use pgdl_zoo::Split;
use pgdl_zoo::fetch::named;

/// So many train and test images in the directory of data sets, remembered as verified.
pub fn fake_mnist(data_dir: &Path, train: usize, test: usize) {
    let data = named("mnist").unwrap();
    let folder = data_dir.join(data.name);
    fs::create_dir_all(&folder).unwrap();
    let mut memory = serde_json::Map::new();
    for file in data.files {
        let count = if file.split == Split::Train { train } else { test };
        let images = file.name.contains("images");
        let mut bytes = vec![0, 0, 8, if images { 3 } else { 1 }];
        bytes.extend((count as u32).to_be_bytes());
        if images {
            bytes.extend([28u32, 28].into_iter().flat_map(u32::to_be_bytes));
            bytes.extend((0..count * 784).map(|at| (at * 7919 % 251) as u8));
        } else {
            bytes.extend((0..count).map(|at| (at * 7 % 10) as u8));
        }
        let path = folder.join(file.name);
        fs::write(&path, bytes).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let modified = metadata.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        memory.insert(
            file.name.to_owned(),
            serde_json::json!({ "md5": file.md5, "size": metadata.len(), "modified_ns": modified }),
        );
    }
    fs::write(folder.join(".verified.json"), serde_json::to_vec(&memory).unwrap()).unwrap();
}
