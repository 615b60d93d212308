//! The file of an output, open and locked, and what becomes of it.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use portmuster::history::{RunChoice, StoredRunErrorKind, read_run};

use super::{
    content::Content,
    lock::is_open_database,
    run_tag,
    writes::{Extent, ForeignChange, OutputFile, SharedEnd},
};
use crate::file_identity::{Identity, follow_links, identity, identity_at};

/// What rows are written to.
pub(super) enum RowTarget {
    /// A device or a pipe.
    Stream(File),
    /// A regular file.
    File(OutputFile),
}

/// The open file of an output, in the state in which it was found. No other run writes to it.
pub(super) struct OpenFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Whether this run created it.
    is_new: bool,
    /// Whether its existing rows are kept.
    has_rows: bool,
    /// How rows are written to it, unless it is a database.
    extent: Extent,
}

impl OpenFile {
    /// Wraps an open file; with `is_shared`, other programs may append to it as well.
    ///
    /// # Errors
    /// The metadata of the file can't be read.
    pub(super) fn new(path: &Path, file: File, is_shared: bool) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let extent = Extent { end: SharedEnd::default(), is_shared };
        Ok(Self { path: path.to_owned(), file, metadata, is_new: false, has_rows: false, extent })
    }

    /// Wraps a file that this run created.
    ///
    /// # Errors
    /// The metadata of the file can't be read.
    pub(super) fn created(path: &Path, file: File, is_shared: bool) -> io::Result<Self> {
        Ok(Self { is_new: true, ..Self::new(path, file, is_shared)? })
    }

    /// Reads the metadata again.
    ///
    /// # Errors
    /// The metadata of the file can't be read.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        self.metadata = self.file.metadata()?;
        Ok(())
    }

    /// Sets that the existing rows are kept.
    pub(super) fn keep_rows(&mut self) {
        self.has_rows = true;
    }

    /// Returns whether the path still leads to this file.
    pub(super) fn is_at_its_path(&self) -> bool {
        identity_at(&self.path) == Some(self.identity())
    }

    /// Returns whether existing rows are kept.
    pub(super) fn has_rows(&self) -> bool {
        self.has_rows
    }

    /// Returns the path on the command line.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path for messages.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Returns the open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Returns the metadata as of the last [`Self::refresh`].
    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns which file it is.
    pub(super) fn identity(&self) -> Identity {
        identity(&self.metadata)
    }

    /// Returns a guard for the file if this run created it. The guard shares the lock.
    pub(super) fn created_file(&self, content: Content) -> Option<CreatedFile> {
        let path = self.is_new.then(|| follow_links(&self.path).ok()).flatten()?;
        // Closing another descriptor of a database would release the locks of SQLite on it.
        let locked = if content.is_database() { None } else { self.file.try_clone().ok() };
        Some(CreatedFile { path, identity: self.identity(), locked })
    }

    /// Returns what must be at the path when the run ends; `None`: it is a device or a pipe.
    pub(super) fn expected(&self, content: Content) -> Option<ExpectedFile> {
        let extent = if content.is_database() { None } else { Some(self.extent.clone()) };
        let (path, identity) = (self.path.clone(), self.identity());
        let expected = ExpectedFile { path, identity, extent, lost: content.lost() };
        self.metadata.is_file().then_some(expected)
    }

    /// Prepares the file for rows: empties it unless existing rows are kept.
    ///
    /// # Errors
    /// The file can't be emptied.
    pub(super) fn begin(self) -> anyhow::Result<RowTarget> {
        let name = self.name();
        let Self { file, metadata, has_rows, extent, .. } = self;
        if !metadata.is_file() {
            return Ok(RowTarget::Stream(file));
        }
        // An interrupted run that resumes later must see that its file was used by this run.
        run_tag::remove(&file);
        if !has_rows {
            empty(&file).with_context(|| format!("emptying {name}"))?;
        }
        Ok(RowTarget::File(OutputFile::at_end(file, extent)?))
    }

    /// Prepares the file for rows after all that it contains.
    ///
    /// # Errors
    /// The file can't be positioned at its end.
    pub(super) fn at_end(self) -> io::Result<OutputFile> {
        OutputFile::at_end(self.file, self.extent)
    }

    /// Closes the file of a database and returns its path.
    ///
    /// `SQLite` must open the file afterwards: closing this descriptor later would release the
    /// locks of `SQLite`.
    pub(super) fn close(self) -> PathBuf {
        self.path
    }
}

/// Empties a file that is not empty.
///
/// An empty file stays untouched: ext4 treats every truncation as a replacement and waits for the
/// disk when such a file is closed (`auto_da_alloc`, ext4(5)): 40 ms after 40 MB.
fn empty(file: &File) -> io::Result<()> {
    if file.metadata()?.len() > 0 { file.set_len(0) } else { Ok(()) }
}

/// A file that this run created, to be removed if the run can't start.
pub(super) struct CreatedFile {
    path: PathBuf,
    identity: Identity,
    /// Keeps the lock; `None`: a database, which has its own locks.
    locked: Option<File>,
}

impl CreatedFile {
    /// Returns whether the file at the path is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.path.symlink_metadata().is_ok_and(|found| found.len() == 0)
    }

    /// Removes the file, unless another program has replaced or used it.
    pub(super) fn remove(self) {
        let is_same = self.path.symlink_metadata().is_ok_and(|it| identity(&it) == self.identity);
        if is_same && (self.locked.is_some() || self.is_unused_database()) {
            // A file that stays makes the next run refuse to start, and does no other harm.
            let _ = fs::remove_file(&self.path);
            if self.locked.is_none() {
                // Reading it may have made these, and the last reader can't always remove them.
                for suffix in ["-wal", "-shm"] {
                    let mut sidecar = self.path.clone().into_os_string();
                    sidecar.push(suffix);
                    let _ = fs::remove_file(sidecar);
                }
            }
        }
    }

    fn is_unused_database(&self) -> bool {
        let file = File::open(&self.path);
        let has_no_run = || {
            let run = read_run(&self.path, RunChoice::BeforeLast(0));
            run.is_err_and(|error| error.kind() == StoredRunErrorKind::NoSuchRun)
        };
        file.is_ok_and(|file| !is_open_database(&file).unwrap_or(true)) && has_no_run()
    }
}

/// The state in which the file of an output must be when the run has ended.
#[derive(Debug)]
pub(super) struct ExpectedFile {
    path: PathBuf,
    identity: Identity,
    /// `None`: a database, which checks its content itself.
    extent: Option<Extent>,
    /// What is not there if the file was replaced, with a verb.
    lost: &'static str,
}

impl ExpectedFile {
    /// Checks the file.
    ///
    /// # Errors
    /// The file is no longer at its path, or another program has changed its length.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let found = self.path.metadata().ok().filter(|found| identity(found) == self.identity);
        let found = found.ok_or_else(|| {
            anyhow!(
                "another program has removed, moved or replaced it during the run, so {} missing there",
                self.lost
            )
        })?;
        let extent = self.extent.as_ref();
        extent.map_or(Ok(()), |extent| extent.check(found.len())).map_err(ForeignChange::into)
    }
}
