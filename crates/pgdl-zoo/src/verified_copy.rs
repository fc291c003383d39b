//! Copies of files, read back and compared.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use crate::atomic_file::write_file;
use crate::{Result, ZooError};

/// Copies a file, in full or not at all, and reads the copy back. Answers its length.
///
/// # Errors
/// When the system refuses, or the copy is not the file.
pub(crate) fn copy_file(from: &Path, to: &Path) -> Result<u64> {
    let mut written = (0, 0);
    write_file(to, |file| {
        written =
            each_block(from, &mut |block| file.write_all(block).map_err(|source| ZooError::io(to, source)))?;
        Ok(())
    })?;
    let read = each_block(to, &mut |_| Ok(()))?;
    if read != written {
        return Err(ZooError::Checksum {
            path: to.to_path_buf(),
            what: format!("copy of {}", from.display()),
            expected: format!("{:08x}", written.1),
            found: format!("{:08x}", read.1),
        });
    }
    Ok(written.0)
}

/// Reads a file block by block; its length and CRC-32C.
fn each_block(path: &Path, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<(u64, u32)> {
    let failed = |source| ZooError::io(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let mut block = vec![0; 1 << 18];
    let (mut length, mut checksum) = (0, 0);
    loop {
        let count = file.read(&mut block).map_err(failed)?;
        if count == 0 {
            return Ok((length, checksum));
        }
        take(&block[..count])?;
        length += count as u64;
        checksum = crc32c::crc32c_append(checksum, &block[..count]);
    }
}
