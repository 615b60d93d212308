//! The journal's file: locked by the run that writes it, and replaced as a whole.

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

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

use super::MAGIC;

/// More than any journal has: each of four million positions that may be missing takes a few
/// letters.
const LENGTH_MAX: u64 = 64 << 20;

/// The end of the names under which new versions are made ready.
const TEMPORARY: &str = ".next";
/// Letters that are made up in these names.
const RANDOM: usize = 6;
/// What files that are made get, but for what the user's mask takes away.
const MODE: u32 = 0o666;

/// Whether a journal of this name uses the other name, in the same folder, for itself.
pub(crate) fn is_temporary(journal: &OsStr, other: &OsStr) -> bool {
    let rest = other.as_bytes().strip_prefix(prefix(journal).as_bytes());
    rest.is_some_and(|rest| rest.starts_with(b".") && rest.ends_with(TEMPORARY.as_bytes()))
}

/// Whether it is a name as [`JournalFile::replace`] makes one up.
fn is_made_up(journal: &OsStr, other: &OsStr) -> bool {
    let rest = other.as_bytes().strip_prefix(prefix(journal).as_bytes());
    let middle = rest.and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(TEMPORARY.as_bytes()));
    middle.is_some_and(|middle| {
        middle.len() == RANDOM && middle.iter().all(u8::is_ascii_alphanumeric)
    })
}

/// What the names begin with under which new versions of a journal are made ready.
fn prefix(journal: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(journal);
    prefix
}

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
        let mut journal = Self { path, locked: file, is_blank: false };
        if !journal.is(&journal.path) {
            bail!("another run is writing it; wait for its end");
        }
        journal.is_blank = is_blank;
        journal.remove_leftovers();
        Ok(journal)
    }

    /// Removes what runs have left that were killed while they wrote their journal here. Nobody else
    /// writes it now, and what does not begin as a journal is not theirs.
    fn remove_leftovers(&self) {
        let Some(name) = self.path.file_name() else { return };
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            if is_made_up(name, &entry.file_name()) && begins_as_journal(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// As messages call it.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether it is that file.
    pub(crate) fn is(&self, other: &Path) -> bool {
        let identity = |it: fs::Metadata| (it.dev(), it.ino());
        let (own, other) = (self.locked.metadata().map(identity), other.metadata().map(identity));
        own.is_ok_and(|own| other.is_ok_and(|other| own == other))
    }

    /// Puts these bytes in the place of what it has: when this returns they outlast a power cut,
    /// and at any moment it has either all of the old or all of the new.
    ///
    /// # Errors
    /// It could not be written; it is as it was.
    pub(crate) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut prefix = prefix(self.path.file_name().unwrap_or_default());
        prefix.push(".");
        // A name that nobody has or can guess, and that is never taken from anybody.
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
}

/// Whether it is a regular file that has the beginning of a journal.
fn begins_as_journal(path: &Path) -> bool {
    if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return false;
    }
    let mut beginning = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut beginning));
    read.is_ok() && beginning == MAGIC.as_bytes()
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
        journal.replace(b"new").expect("there is room");
        assert_eq!(fs::read(&path).expect("it is there"), b"new");
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1);
    }

    #[test]
    fn only_what_a_killed_run_has_left_is_removed() {
        let (folder, path) = folder();
        let at = |name: &str| folder.path().join(name);
        let users = [".run.journal.next", ".run.journal.abcdef.next", ".run.journal-abcdef.next"];
        for name in users {
            fs::write(at(name), "of the user\n").expect("there is room");
        }
        let journals =
            [".run.journal.next", ".run.journal.copy.next", ".other.journal.aBc123.next"];
        for name in journals {
            fs::write(at(name), MAGIC).expect("there is room");
        }
        fs::write(at(".run.journal.aBc123.next"), format!("{MAGIC} 3 ha")).expect("there is room");
        let mut journal = JournalFile::create(&path, false).expect("it is new");
        journal.replace(b"new").expect("there is room");
        assert!(!at(".run.journal.aBc123.next").exists());
        assert!(users.iter().chain(&journals).all(|name| at(name).exists()));
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 6);
    }

    #[test]
    fn names_for_itself_are_known() {
        let is_temporary = |other: &str| is_temporary("run".as_ref(), other.as_ref());
        assert!([".run.next", ".run.x.next", ".run.aBc123.next"].into_iter().all(is_temporary));
        assert!(
            !["run.next", ".runner.next", ".run.nex", ".other.next"].into_iter().any(is_temporary)
        );
    }

    #[test]
    fn one_that_was_removed_or_replaced_is_not_written() {
        let (_folder, path) = folder();
        let mut journal = JournalFile::create(&path, false).expect("it is new");
        journal.replace(b"first").expect("there is room");
        fs::remove_file(&path).expect("it is there");
        assert!(journal.replace(b"second").is_err());
        assert!(!path.exists());
        fs::write(&path, "of the user").expect("there is room");
        assert!(journal.replace(b"second").is_err());
        assert_eq!(fs::read(&path).expect("it is there"), b"of the user");
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
