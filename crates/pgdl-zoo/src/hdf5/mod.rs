//! HDF5 files as Keras writes and reads them: groups, string attributes, arrays of floats.
//!
//! Written in Rust for three reasons. libhdf5 can be crashed by a single flipped bit in a group's tree, and a
//! damaged file must be an error here, not the end of a process. It locks globally, whereas several networks
//! are loaded side by side. And weights are to go straight from the file's pages into the tensor's memory.
//!
//! What is read: superblocks 0 to 3; object headers 1 and 2; groups as symbol tables or as compact links;
//! attributes of fixed- and variable-length strings; arrays of 16-, 32- and 64-bit floats in either byte order,
//! stored compact, contiguous or chunked, with the filters shuffle, deflate and fletcher32. What only
//! `libver="latest"` files hold (dense links and attributes, version 4 chunk indices) is refused by name.
//!
//! Nothing is allocated because a header claims it: every length is first compared with the bytes there are,
//! trees and lists are followed only as far as the file is long, and an array is read only into memory whose
//! size the caller has chosen.
//!
//! Format: "HDF5 File Format Specification Version 3.0", The HDF Group.

mod attribute;
mod bytes;
mod dataset;
mod datatype;
mod filter;
mod group;
mod heap;
mod object;
mod tree;
mod write;

use std::path::{Path, PathBuf};

pub use bytes::Source;
pub use dataset::Dataset;
pub use object::Object;
pub use write::{Array, Attribute, Group, Node, Storage, write};

use crate::ZooError;

/// A problem inside a file, before the file's name is known.
#[derive(Debug)]
pub enum Problem {
    /// The operating system refused.
    Io(std::io::Error),
    /// The bytes contradict the format, or one another.
    Malformed(String),
    /// A sound file with something that is not read here.
    Unsupported(String),
}

/// Result before the file's name is known.
pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    /// This problem, in the file at `path`.
    pub fn at(self, path: &Path) -> ZooError {
        match self {
            Problem::Io(source) => ZooError::io(path, source),
            Problem::Malformed(message) => ZooError::malformed(path, message),
            Problem::Unsupported(what) => {
                ZooError::unsupported(path, what, "HDF5 files with the defaults of Keras and h5py")
            }
        }
    }
}

fn malformed<T>(message: impl Into<String>) -> Result<T> {
    Err(Problem::Malformed(message.into()))
}

const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// An HDF5 file, open for reading.
#[derive(Debug)]
pub struct File {
    source: Source,
    path: PathBuf,
    root: u64,
}

impl File {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> crate::Result<File> {
        Source::open(path)
            .and_then(|source| Self::superblock(source, path))
            .map_err(|problem| problem.at(path))
    }

    /// Opens an HDF5 file that lies inside another, or in memory; errors name `path`.
    pub fn from_source(source: Source, path: &Path) -> crate::Result<File> {
        Self::superblock(source, path).map_err(|problem| problem.at(path))
    }

    /// The file's name, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root group.
    pub fn root(&self) -> crate::Result<Object<'_>> {
        Object::read(&self.source, self.root, String::new()).map_err(|problem| problem.at(&self.path))
    }

    fn superblock(source: Source, path: &Path) -> Result<File> {
        if source.length() < 48 {
            return malformed(format!("{} bytes are too few for an HDF5 file", source.length()));
        }
        let head = source.read(0, source.length().min(112) as usize)?;
        if head[..8] != SIGNATURE {
            return malformed("not an HDF5 file (its signature is missing)");
        }
        let mut cursor = bytes::Cursor::new(&head, "superblock");
        cursor.skip(8)?;
        let version = cursor.u8()?;
        let (sizes, root_at) = match version {
            0 => (13, 24 + 32 + 8),
            1 => (13, 28 + 32 + 8),
            2 | 3 => (9, 12 + 24),
            _ => return Err(Problem::Unsupported(format!("superblock version {version}"))),
        };
        cursor.seek(sizes)?;
        let (offset_size, length_size) = (cursor.u8()?, cursor.u8()?);
        if (offset_size, length_size) != (8, 8) {
            return Err(Problem::Unsupported(format!(
                "addresses of {offset_size} and lengths of {length_size} bytes"
            )));
        }
        cursor.seek(match version {
            0 => 24,
            1 => 28,
            _ => 12,
        })?;
        let base = cursor.u64()?;
        if base != 0 {
            return Err(Problem::Unsupported(format!("base address {base}")));
        }
        cursor.seek(root_at)?;
        let root = cursor.u64()?;
        cursor.seek(match version {
            0 => 40,
            1 => 44,
            _ => 28,
        })?;
        let end = cursor.u64()?;
        if end > source.length() {
            return malformed(format!(
                "truncated: the file says it has {end} bytes, and has {}",
                source.length()
            ));
        }
        Ok(File { source, path: path.to_path_buf(), root })
    }
}

#[cfg(test)]
mod tests;
