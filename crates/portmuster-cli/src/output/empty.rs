//! Output files without rows, as a run leaves them that is killed before its first row.

use std::{
    fs::File,
    io::{self, Read, Seek},
};

use anyhow::bail;

use crate::formats::RowFormat;

/// Maximum number of bytes to read: more than an XML document without rows has, unless the command
/// line in it is very long.
const READ_MAX: u64 = 64 * 1024;

/// Refuses to overwrite a file that has rows.
///
/// With `--resume`, a run that is killed before its first checkpoint leaves files without rows and
/// no journal, and starts again with these files.
///
/// # Errors
/// The file has rows or can't be read.
pub(super) fn refuse_rows(file: &File, format: &RowFormat) -> anyhow::Result<()> {
    let content = beginning(file)?;
    if !content.is_empty() && !(format.is_rowless)(&content) {
        bail!(
            "it exists, and there is no journal to resume its run from: --append appends to it, --force \
             overwrites it, and both are ignored once there is a journal"
        );
    }
    Ok(())
}

fn beginning(mut file: &File) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::new();
    file.rewind()?;
    file.take(READ_MAX).read_to_end(&mut beginning)?;
    Ok(beginning)
}
