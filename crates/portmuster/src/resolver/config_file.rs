//! Reads the small text files in `/etc` that configure how the system looks up names.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
};

/// The largest file that is read, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// Returns the text of the file, with U+FFFD for bytes that are not UTF-8. A file that does not exist
/// is an empty one.
///
/// # Errors
/// The file exists and can't be read, or is larger than [`SIZE_MAX`].
pub(super) fn read(path: &str) -> io::Result<String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let size = file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if size as u64 > SIZE_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
