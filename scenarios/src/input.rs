//! Files that users bring, read up to a size.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

/// The largest file that is read at once, in bytes: replay files of long scripts have a few megabytes.
pub const LARGEST_FILE: u64 = 64 << 20;

/// The largest file of profiles or of regression seeds, in bytes: people write them by hand.
const LARGEST_NOTE: u64 = 1 << 20;

/// A file's bytes.
///
/// # Errors
/// It cannot be read, or it is larger than [`LARGEST_FILE`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    read_up_to(path, LARGEST_FILE)
}

/// The text of a small file.
///
/// # Errors
/// It cannot be read, it is larger than a mebibyte, or it is not UTF-8.
pub(crate) fn read_note(path: &Path) -> Result<String, Error> {
    let bytes = read_up_to(path, LARGEST_NOTE)?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

fn read_up_to(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    let size = file.metadata()?.len();
    if size <= limit {
        // What has no size, such as a pipe, may still be larger.
        file.take(limit + 1).read_to_end(&mut bytes)?;
    }
    if size.max(bytes.len() as u64) > limit {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            format!("it is larger than {} MiB", limit >> 20),
        ));
    }
    Ok(bytes)
}
