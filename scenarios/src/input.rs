//! Files that users bring, read up to a size.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

/// The largest file that is read at once, in bytes: replay files of long scripts have a few megabytes.
pub const LARGEST_FILE: u64 = 64 << 20;

/// A file's bytes.
///
/// # Errors
/// It cannot be read, or it is larger than [`LARGEST_FILE`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    let size = file.metadata()?.len();
    if size <= LARGEST_FILE {
        // What has no size, such as a pipe, may still be larger.
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    }
    if size.max(bytes.len() as u64) > LARGEST_FILE {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            format!("it is larger than {} MiB", LARGEST_FILE >> 20),
        ));
    }
    Ok(bytes)
}
