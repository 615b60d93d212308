//! Reads the host keys that are known.

use std::{fs::File, io::BufReader, path::PathBuf};

use anyhow::Context;
use portmuster::outcome::KnownKeys;

/// Reads files in the format of `known_hosts`; `None`: there are none.
///
/// # Errors
/// A file can't be read, or a line of it is invalid.
pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Option<KnownKeys>> {
    let mut all = None;
    for path in files {
        let context = || format!("reading the known host keys in {}", path.display());
        let file = File::open(path).with_context(context)?;
        let keys = KnownKeys::read(BufReader::new(file)).with_context(context)?;
        all.get_or_insert_with(KnownKeys::default).extend(keys);
    }
    Ok(all)
}
