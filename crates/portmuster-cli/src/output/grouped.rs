//! Files whose rows are grouped once the run has ended: a new file replaces the file of rows.
//!
//! A run with a journal first says in the journal that it is complete and that the new file is the output,
//! and then replaces the output by it. If it is killed in between, a process that resumes the run does
//! that.

use std::{
    fs::{self, File},
    io::{self, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, bail};
use portmuster::sink::ResumePoint;
use tempfile::NamedTempFile;

use super::{
    beside::{complete, create_beside, new_files, replace, sync_folder},
    file::OpenFile,
    lock::lock,
};
use crate::{
    file_identity::{Identity, follow_links, identity, identity_at, parent},
    formats::GroupRows,
};

/// The file that the journal names in place of the file of rows, once it is written.
///
/// The run and the thread that writes the journal share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Replacement(Arc<Mutex<Option<NewFile>>>);

/// The file that replaces a file of rows.
#[derive(Debug)]
pub(super) struct NewFile {
    pub(super) file: File,
    pub(super) resume_point: ResumePoint,
}

impl Replacement {
    /// Calls `act` with the new file, if there is one.
    pub(super) fn with<T>(&self, act: impl FnOnce(Option<&NewFile>) -> T) -> T {
        act(self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref())
    }

    fn set(&self, file: NewFile) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }
}

/// A file of rows that is grouped when the run has ended.
pub(super) struct Grouping {
    group: GroupRows,
    /// The path, without symbolic links at its end.
    path: PathBuf,
    rows: File,
    identity: Identity,
    replacement: Replacement,
    state: GroupingState,
}

enum GroupingState {
    Rows,
    /// The new file is complete, and not at the path yet.
    Written(NamedTempFile),
    /// The new file is at the path. Keeps its lock.
    Published {
        _locked: File,
    },
}

impl Grouping {
    /// Prepares to group the rows of the file; `None`: it is a device or a pipe, whose rows stay as they
    /// are.
    ///
    /// # Errors
    /// The system has no more descriptors.
    pub(super) fn new(
        group: GroupRows,
        open: &OpenFile,
        replacement: Replacement,
    ) -> io::Result<Option<Self>> {
        if !open.metadata().is_file() {
            return Ok(None);
        }
        let (path, rows) = (follow_links(open.path())?, open.file().try_clone()?);
        let (identity, state) = (open.identity(), GroupingState::Rows);
        Ok(Some(Self { group, path, rows, identity, replacement, state }))
    }

    /// Writes the grouped rows to a new file, and returns when it is on the disk.
    ///
    /// `resume_point` is one of the file of rows, and `summary` that of the run in JSON. The file of rows
    /// stays as it is.
    ///
    /// # Errors
    /// The file of rows can't be read, or the new file can't be written.
    pub(super) fn write(&mut self, resume_point: ResumePoint, summary: &str) -> anyhow::Result<()> {
        let new = create_beside(&self.path)?;
        self.rows.rewind()?;
        let resume_point =
            (self.group)(&self.rows, new.as_file(), parent(&self.path), resume_point, summary)?;
        complete(new.as_file(), &self.rows.metadata()?)?;
        let file = new.as_file().try_clone()?;
        self.replacement.set(NewFile { file, resume_point });
        self.state = GroupingState::Written(new);
        Ok(())
    }

    /// Replaces the file of rows by the new file, if that was written.
    ///
    /// # Errors
    /// Another program has replaced the file of rows, or it can't be replaced. With `keep`, the new file
    /// stays beside it, because the journal names it.
    pub(super) fn publish(&mut self, keep: bool) -> anyhow::Result<()> {
        let new = match std::mem::replace(&mut self.state, GroupingState::Rows) {
            GroupingState::Written(new) => new,
            other => {
                self.state = other;
                return Ok(());
            }
        };
        match replace(&self.path, self.identity, new) {
            Ok(locked) => self.state = GroupingState::Published { _locked: locked },
            Err((error, new)) => {
                if keep {
                    new.keep()?;
                }
                return Err(error);
            }
        }
        Ok(sync_folder(&self.path)?)
    }
}

/// Replaces the file of rows of a complete run, if the run was killed before it could do so.
///
/// `inode` is that of the grouped file, which the journal names.
///
/// # Errors
/// Another run uses one of the files, or the file of rows can't be replaced.
pub(super) fn finish_replacement(path: &Path, inode: u64) -> anyhow::Result<()> {
    let path = follow_links(path)?;
    if path.metadata().is_ok_and(|found| found.ino() == inode) {
        return Ok(());
    }
    let is_new = |new: &PathBuf| new.symlink_metadata().is_ok_and(|found| found.ino() == inode);
    let Some(new) = new_files(&path).find(is_new) else { return Ok(()) };
    let locked = File::open(&new)?;
    lock(&locked)?;
    let rows = File::open(&path).ok();
    rows.as_ref().map_or(Ok(()), lock)?;
    if identity_at(&new) != Some(identity(&locked.metadata()?)) {
        bail!("another program has just replaced {}", new.display());
    }
    fs::rename(&new, &path).with_context(|| format!("renaming {}", new.display()))?;
    Ok(sync_folder(&path)?)
}
