//! The journal's file: locked by the run that writes it, and replaced as a whole.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// More than any journal has: each of four million positions that may be missing takes a few
/// letters.
const LENGTH_MAX: u64 = 64 << 20;

/// The journal of a run that is under way.
///
/// Invariant: whoever opens the file while the run lives finds it locked. A lock stays with the file
/// that it was taken on, so each that takes its place is locked before.
pub(crate) struct JournalFile {
    path: PathBuf,
    /// Holds the lock.
    locked: File,
    /// Nothing was written to it, and it was not there before.
    is_blank: bool,
}

impl JournalFile {
    /// Begins a journal. What is there is left as it is until the first [`Self::replace`].
    ///
    /// # Errors
    /// It exists and is not to be replaced, another run writes it, or it can't be written.
    pub(crate) fn create(path: &Path, force: bool) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        let (locked, is_blank) = match options.write(true).create_new(true).open(path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && force => {
                (open_file(path)?, false)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("it exists; --resume goes on with its run, --force replaces it")
            }
            Err(error) => return Err(error.into()),
        };
        Self::locked(path, locked, is_blank)
    }

    /// Opens the journal of an earlier run, and reads it; where there is none, begins one.
    ///
    /// # Errors
    /// Another run writes it, or it can't be read or made.
    pub(crate) fn open_or_create(path: &Path) -> anyhow::Result<(Self, Vec<u8>)> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok((Self::locked(path, file, true)?, Vec::new())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::open(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the journal of an earlier run, and reads it.
    ///
    /// # Errors
    /// It is not there, another run writes it, or it can't be read.
    fn open(path: &Path) -> anyhow::Result<(Self, Vec<u8>)> {
        let journal = Self::locked(path, open_file(path)?, false)?;
        let mut bytes = Vec::new();
        (&journal.locked).take(LENGTH_MAX).read_to_end(&mut bytes)?;
        Ok((journal, bytes))
    }

    fn locked(path: &Path, file: File, is_blank: bool) -> anyhow::Result<Self> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another run is writing it; wait for its end"),
            Err(TryLockError::Error(error)) => return Err(error).context("locking it"),
        }
        // It may have been replaced between being opened and being locked.
        let path = fs::canonicalize(path)?;
        if path.metadata()?.ino() != file.metadata()?.ino() {
            bail!("another run is writing it; wait for its end");
        }
        Ok(Self { path, locked: file, is_blank })
    }

    /// As messages call it.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether it is that file.
    pub(crate) fn is(&self, other: &Path) -> bool {
        fs::canonicalize(other).is_ok_and(|other| other == self.path)
    }

    /// Puts these bytes in the place of what it has: when this returns they outlast a power cut,
    /// and at any moment it has either all of the old or all of the new.
    ///
    /// # Errors
    /// It could not be written; it is as it was.
    pub(crate) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let new = self.beside();
        match fs::remove_file(&new) {
            // A run that was killed while it wrote has left it.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        file.try_lock()?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        self.locked = file;
        self.is_blank = false;
        File::open(self.folder())?.sync_all()
    }

    /// Takes away what it has, of an earlier run whose outputs are about to be replaced.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn empty(&mut self) -> anyhow::Result<()> {
        if self.is_blank {
            return Ok(());
        }
        let emptied = self.locked.set_len(0).and_then(|()| self.locked.sync_all());
        emptied.with_context(|| format!("emptying the journal {}", self.name()))
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Where the next is made ready.
    fn beside(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".next");
        self.folder().join(name)
    }
}

/// Opens what is there; a pipe would wait for somebody at its other end.
fn open_file(path: &Path) -> anyhow::Result<File> {
    if !path.metadata()?.is_file() {
        bail!("it is no regular file");
    }
    Ok(OpenOptions::new().read(true).write(true).open(path)?)
}

/// One that says nothing would only be in the way of the next run.
impl Drop for JournalFile {
    fn drop(&mut self) {
        if self.is_blank {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let path = folder.path().join("run.journal");
        (folder, path)
    }

    fn refusal(opened: anyhow::Result<impl Sized>) -> String {
        opened.err().expect("it is refused").to_string()
    }

    #[test]
    fn one_that_was_never_written_goes() {
        let (_folder, path) = folder();
        drop(JournalFile::create(&path, false).expect("it is new"));
        assert!(!path.exists());
        let (journal, bytes) = JournalFile::open_or_create(&path).expect("it is new");
        assert!(bytes.is_empty() && path.exists());
        drop(journal);
        assert!(!path.exists());
        fs::write(&path, "").expect("there is room");
        drop(JournalFile::open_or_create(&path).expect("nobody writes it"));
        assert!(path.exists(), "who made it wants it");
    }

    #[test]
    fn what_is_there_stays_until_it_is_replaced() {
        let (folder, path) = folder();
        fs::write(&path, "old").expect("there is room");
        assert!(refusal(JournalFile::create(&path, false)).starts_with("it exists"));
        drop(JournalFile::create(&path, true).expect("it may be replaced"));
        assert_eq!(fs::read(&path).expect("it is there"), b"old");
        let mut journal = JournalFile::create(&path, true).expect("it may be replaced");
        fs::write(journal.beside(), "half").expect("a run was killed while it wrote");
        journal.replace(b"new").expect("there is room");
        assert_eq!(fs::read(&path).expect("it is there"), b"new");
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1);
    }

    #[test]
    fn one_run_writes_it_at_a_time() {
        let (_folder, path) = folder();
        let mut journal = JournalFile::create(&path, false).expect("it is new");
        for _ in 0..2 {
            assert!(refusal(JournalFile::open(&path)).starts_with("another run"));
            assert!(refusal(JournalFile::create(&path, true)).starts_with("another run"));
            journal.replace(b"more").expect("there is room");
        }
        drop(journal);
        assert_eq!(JournalFile::open(&path).expect("nobody writes it").1, b"more");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(JournalFile::create(Path::new("/dev/null"), true).is_err());
        assert!(JournalFile::open(Path::new("/dev/null")).is_err());
    }
}
