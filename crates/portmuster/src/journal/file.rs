//! The file of the journal, which the run locks and replaces atomically.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{error::JournalErrorKind, state::MAGIC};

/// Maximum number of bytes to read. Up to four million missing positions take a few characters
/// each.
const LENGTH_MAX: u64 = 64 << 20;

/// The suffix of temporary files, in which new versions are written.
const TEMPORARY: &str = ".next";
/// Number of random characters in the name of a temporary file.
const RANDOM: usize = 6;
/// The permissions of a new journal before the umask applies.
const MODE: u32 = 0o666;

/// Returns whether a journal with this file name reserves the other name in its directory, for the
/// temporary files in which it writes its next version.
///
/// A program whose users name its outputs refuses such names.
#[must_use]
pub fn is_reserved_name(journal: &OsStr, other: &OsStr) -> bool {
    let rest = other.as_bytes().strip_prefix(prefix(journal).as_bytes());
    rest.is_some_and(|rest| rest.starts_with(b".") && rest.ends_with(TEMPORARY.as_bytes()))
}

/// Returns whether [`JournalFile::replace`] may have created a temporary file of this name.
fn is_random_name(journal: &OsStr, other: &OsStr) -> bool {
    let rest = other.as_bytes().strip_prefix(prefix(journal).as_bytes());
    let middle = rest.and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(TEMPORARY.as_bytes()));
    middle.is_some_and(|middle| {
        middle.len() == RANDOM && middle.iter().all(u8::is_ascii_alphanumeric)
    })
}

/// Returns the prefix of temporary files of the journal.
fn prefix(journal: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(journal);
    prefix
}

/// The open and locked file of a journal.
///
/// Invariant: the file at the path is locked as long as the run lives. Because a lock belongs to
/// one file and not to its path, each new version is locked before it replaces the old one.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    /// Holds the lock.
    locked: File,
    /// Whether this run created the file and has not written to it.
    is_blank: bool,
}

impl JournalFile {
    /// Creates a journal. With `overwrite`, an existing one stays until the first [`Self::replace`].
    ///
    /// # Errors
    /// The file exists and `overwrite` is not set, another run writes it, or it can't be written.
    pub(super) fn create(path: &Path, overwrite: bool) -> Result<Self, JournalErrorKind> {
        let mut options = OpenOptions::new();
        let (locked, is_blank) = match options.write(true).create_new(true).open(path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && overwrite => {
                (open_file(path)?, false)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(JournalErrorKind::Exists);
            }
            Err(error) => return Err(JournalErrorKind::Open(error)),
        };
        Self::lock(path, locked, is_blank)
    }

    /// Opens and reads the journal of an earlier process, or creates an empty one.
    ///
    /// # Errors
    /// Another run writes the journal, or it can't be read or created.
    pub(super) fn open_or_create(path: &Path) -> Result<(Self, Vec<u8>), JournalErrorKind> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok((Self::lock(path, file, true)?, Vec::new())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::open(path),
            Err(error) => Err(JournalErrorKind::Open(error)),
        }
    }

    /// Opens and reads the journal of an earlier process.
    ///
    /// # Errors
    /// The journal does not exist, another run writes it, or it can't be read.
    fn open(path: &Path) -> Result<(Self, Vec<u8>), JournalErrorKind> {
        let journal = Self::lock(path, open_file(path)?, false)?;
        let mut bytes = Vec::new();
        (&journal.locked)
            .take(LENGTH_MAX)
            .read_to_end(&mut bytes)
            .map_err(JournalErrorKind::Open)?;
        Ok((journal, bytes))
    }

    /// Locks an open file and removes leftovers of killed runs.
    fn lock(path: &Path, file: File, is_blank: bool) -> Result<Self, JournalErrorKind> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalErrorKind::InUse),
            Err(TryLockError::Error(error)) => return Err(JournalErrorKind::Lock(error)),
        }
        // Another run may have replaced the file before it was locked.
        let path = fs::canonicalize(path).map_err(JournalErrorKind::Open)?;
        let mut journal = Self { path, locked: file, is_blank: false };
        if !journal.is(&journal.path) {
            return Err(JournalErrorKind::InUse);
        }
        journal.is_blank = is_blank;
        journal.remove_leftovers();
        Ok(journal)
    }

    /// Removes temporary files of runs that were killed while they replaced this journal.
    ///
    /// The lock proves that no running process uses them. Files that do not begin like a journal
    /// stay.
    fn remove_leftovers(&self) {
        let Some(name) = self.path.file_name() else { return };
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            if is_random_name(name, &entry.file_name()) && begins_like_journal(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Returns the absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the path leads to the journal.
    pub(super) fn is(&self, other: &Path) -> bool {
        let identity = |it: fs::Metadata| (it.dev(), it.ino());
        let (own, other) = (self.locked.metadata().map(identity), other.metadata().map(identity));
        own.is_ok_and(|own| other.is_ok_and(|other| own == other))
    }

    /// Replaces the content atomically and durably.
    ///
    /// At any moment the file contains either the complete old or the complete new content.
    ///
    /// # Errors
    /// The new content can't be written; the old content stays.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut prefix = prefix(self.path.file_name().unwrap_or_default());
        prefix.push(".");
        // A random name, so that no existing file is overwritten.
        let mut new: NamedTempFile = tempfile::Builder::new()
            .prefix(&prefix)
            .rand_bytes(RANDOM)
            .suffix(TEMPORARY)
            .permissions(fs::Permissions::from_mode(MODE))
            .tempfile_in(self.folder())?;
        new.as_file().try_lock()?;
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        if !self.is(&self.path) {
            return Err(io::Error::other("another program has removed or replaced it"));
        }
        self.locked = new.persist(&self.path)?;
        self.is_blank = false;
        File::open(self.folder())?.sync_all()
    }

    /// Empties the journal of an earlier run, before its outputs are overwritten.
    ///
    /// # Errors
    /// The file can't be written.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.is_blank {
            return Ok(());
        }
        self.locked.set_len(0)?;
        self.locked.sync_all()
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// Returns whether the path is a regular file that begins like a journal.
fn begins_like_journal(path: &Path) -> bool {
    if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return false;
    }
    let mut beginning = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut beginning));
    read.is_ok() && beginning == MAGIC.as_bytes()
}

/// Opens an existing regular file. Opening a pipe would wait for a process at its other end.
fn open_file(path: &Path) -> Result<File, JournalErrorKind> {
    if !path.metadata().map_err(JournalErrorKind::Open)?.is_file() {
        return Err(JournalErrorKind::NotAFile);
    }
    OpenOptions::new().read(true).write(true).open(path).map_err(JournalErrorKind::Open)
}

/// Removes a file without content, which would make the next run refuse to start.
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
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("run.journal");
        (folder, path)
    }

    fn refusal(opened: Result<impl Sized, JournalErrorKind>) -> String {
        opened.err().expect("the journal is refused").to_string()
    }

    #[test]
    fn new_journal_without_content_is_removed() {
        let (_folder, path) = folder();
        drop(JournalFile::create(&path, false).expect("the journal is new"));
        assert!(!path.exists());
        let (journal, bytes) = JournalFile::open_or_create(&path).expect("the journal is new");
        assert!(bytes.is_empty() && path.exists());
        drop(journal);
        assert!(!path.exists());
        fs::write(&path, "").expect("the file system works");
        drop(JournalFile::open_or_create(&path).expect("no run writes the journal"));
        assert!(path.exists(), "the user created the file");
    }

    #[test]
    fn existing_content_stays_until_it_is_replaced() {
        let (folder, path) = folder();
        fs::write(&path, "old").expect("the file system works");
        assert!(refusal(JournalFile::create(&path, false)).starts_with("it exists"));
        drop(JournalFile::create(&path, true).expect("force is set"));
        assert_eq!(fs::read(&path).expect("the file exists"), b"old");
        let mut journal = JournalFile::create(&path, true).expect("force is set");
        journal.replace(b"new").expect("the file system works");
        assert_eq!(fs::read(&path).expect("the file exists"), b"new");
        assert_eq!(fs::read_dir(&folder).expect("the file exists").count(), 1);
    }

    #[test]
    fn only_temporary_files_of_killed_runs_are_removed() {
        let (folder, path) = folder();
        let at = |name: &str| folder.path().join(name);
        let foreign = [".run.journal.next", ".run.journal.abcdef.next", ".run.journal-abcdef.next"];
        for name in foreign {
            fs::write(at(name), "of the user\n").expect("the file system works");
        }
        let journals =
            [".run.journal.next", ".run.journal.copy.next", ".other.journal.aBc123.next"];
        for name in journals {
            fs::write(at(name), MAGIC).expect("the file system works");
        }
        fs::write(at(".run.journal.aBc123.next"), format!("{MAGIC} 3 ha"))
            .expect("the file system works");
        let mut journal = JournalFile::create(&path, false).expect("the journal is new");
        journal.replace(b"new").expect("the file system works");
        assert!(!at(".run.journal.aBc123.next").exists());
        assert!(foreign.iter().chain(&journals).all(|name| at(name).exists()));
        assert_eq!(fs::read_dir(&folder).expect("the file exists").count(), 6);
    }

    #[test]
    fn names_of_temporary_files_are_recognised() {
        let is_reserved = |other: &str| is_reserved_name("run".as_ref(), other.as_ref());
        assert!([".run.next", ".run.x.next", ".run.aBc123.next"].into_iter().all(is_reserved));
        assert!(
            !["run.next", ".runner.next", ".run.nex", ".other.next"].into_iter().any(is_reserved)
        );
    }

    #[test]
    fn removed_or_replaced_journal_is_not_written() {
        let (_folder, path) = folder();
        let mut journal = JournalFile::create(&path, false).expect("the journal is new");
        journal.replace(b"first").expect("the file system works");
        fs::remove_file(&path).expect("the file exists");
        assert!(journal.replace(b"second").is_err());
        assert!(!path.exists());
        fs::write(&path, "of the user").expect("the file system works");
        assert!(journal.replace(b"second").is_err());
        assert_eq!(fs::read(&path).expect("the file exists"), b"of the user");
    }

    #[test]
    fn only_one_run_writes_a_journal_at_a_time() {
        let (_folder, path) = folder();
        let mut journal = JournalFile::create(&path, false).expect("the journal is new");
        for _ in 0..2 {
            assert!(refusal(JournalFile::open(&path)).starts_with("another run"));
            assert!(refusal(JournalFile::create(&path, true)).starts_with("another run"));
            journal.replace(b"more").expect("the file system works");
        }
        drop(journal);
        assert_eq!(JournalFile::open(&path).expect("no run writes the journal").1, b"more");
    }

    #[test]
    fn device_is_refused() {
        assert!(JournalFile::create(Path::new("/dev/null"), true).is_err());
        assert!(JournalFile::open(Path::new("/dev/null")).is_err());
    }
}
