//! Temporary folders and files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::program::wait_until;

/// A temporary folder, removed when dropped.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("temporary folders can be created"))
    }

    /// Returns the path as text.
    pub(crate) fn path(&self) -> &str {
        self.0.path().to_str().expect("temporary paths are UTF-8")
    }

    /// Returns the path of a file in the folder, which may not exist.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Creates or replaces a file in the folder. Returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.file(name);
        fs::write(&file, content).expect("the folder is writable");
        file
    }
}

/// A target list in a temporary folder of its own.
pub(crate) struct ListFile {
    pub(crate) path: String,
    _folder: Folder,
}

impl ListFile {
    pub(crate) fn new(content: impl AsRef<[u8]>) -> Self {
        let folder = Folder::new();
        let path = folder.write("list.txt", content);
        let path = path.to_str().expect("temporary paths are UTF-8").to_owned();
        Self { path, _folder: folder }
    }
}

/// Returns the value of `--output` for a format and a file.
pub(crate) fn output(format: &str, file: &Path) -> String {
    format!("{format}={}", file.display())
}

/// Reads a text file.
pub(crate) fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("it is a file of text")
}

/// Waits until the file is longer than this. A run flushes its rows in the pause after them.
pub(crate) fn wait_for_growth(file: &Path, length: u64) {
    let has_grown = || fs::metadata(file).is_ok_and(|found| found.len() > length);
    wait_until("rows in the file", has_grown);
}
