//! The Rust files of one crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The texts of all Rust files of one crate, those of its tests too.
pub(super) struct Sources {
    /// The crate's folder, from the root of the repository.
    pub(super) folder: String,
    /// The texts by path, from the crate's folder.
    pub(super) texts: BTreeMap<String, String>,
}

impl Sources {
    /// Reads the Rust files below `src`, `tests` and `benches` of the crate in `folder`.
    ///
    /// # Errors
    /// A folder or a file can't be read.
    pub(super) fn read(root: &Path, folder: &str) -> Result<Self> {
        let mut texts = BTreeMap::new();
        for part in ["src", "tests", "benches"] {
            if root.join(folder).join(part).is_dir() {
                read_folder(&root.join(folder), part, &mut texts)?;
            }
        }
        Ok(Self { folder: folder.to_owned(), texts })
    }

    /// A crate that consists of these files: paths and texts.
    #[cfg(test)]
    pub(super) fn of(folder: &str, files: &[(&str, &str)]) -> Self {
        let texts = files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
        Self { folder: folder.to_owned(), texts }
    }
}

fn read_folder(base: &Path, folder: &str, texts: &mut BTreeMap<String, String>) -> Result<()> {
    let path = base.join(folder);
    let entries =
        fs::read_dir(&path).with_context(|| format!("reading the folder {}", path.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("reading the folder {}", path.display()))?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read_folder(base, &name, texts)?;
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("reading {}", entry.path().display()))?;
            texts.insert(name, text);
        }
    }
    Ok(())
}
