//! Files whose rows are grouped once the run has ended: a new file replaces the file of rows.
//!
//! The new file is written beside the output, under a name that [`is_reserved`], and locked like it. A
//! run with a journal first says in the journal that it is complete and that the new file is the output,
//! and then replaces the output by it. If it is killed in between, a process that resumes the run does
//! that.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata},
    io::{self, Read, Seek},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, fchown},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, bail};
use portmuster::sink::ResumePoint;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use tempfile::NamedTempFile;

use super::{file::OpenFile, lock::lock};
use crate::{
    file_identity::{Identity, follow_links, identity, identity_at, parent},
    formats::GroupRows,
};

/// The suffix of temporary files.
const TEMPORARY: &str = ".grouped";

/// Number of random characters in the name of a temporary file.
const RANDOM: usize = 6;

/// How a file of grouped rows begins: that is what tells a leftover from a file of the user.
const BEGINNING: &[u8] = b"<?xml ";

/// Returns whether an output with this file name reserves the other name in its directory.
pub(crate) fn is_reserved(output: &OsStr, other: &OsStr) -> bool {
    let rest = other.as_bytes().strip_prefix(prefix(output).as_bytes());
    rest.is_some_and(|rest| rest.ends_with(TEMPORARY.as_bytes()))
}

/// Returns the prefix of the names of temporary files of the output.
fn prefix(output: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(output);
    prefix.push(".");
    prefix
}

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

    fn set(&self, file: Option<NewFile>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = file;
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
    /// `resume_point` is one of the file of rows. The file of rows stays as it is.
    ///
    /// # Errors
    /// The file of rows can't be read, or the new file can't be written.
    pub(super) fn write(&mut self, resume_point: ResumePoint) -> anyhow::Result<()> {
        let folder = parent(&self.path);
        let new = tempfile::Builder::new()
            .prefix(&prefix(self.path.file_name().unwrap_or_default()))
            .rand_bytes(RANDOM)
            .suffix(TEMPORARY)
            .tempfile_in(folder)?;
        lock(new.as_file())?;
        self.rows.rewind()?;
        let resume_point = (self.group)(&self.rows, new.as_file(), folder, resume_point)?;
        copy_rights(&self.rows.metadata()?, new.as_file())?;
        new.as_file().sync_all()?;
        let file = new.as_file().try_clone()?;
        self.replacement.set(Some(NewFile { file, resume_point }));
        self.state = GroupingState::Written(new);
        Ok(())
    }

    /// Replaces the file of rows by the new file, if that was written.
    ///
    /// # Errors
    /// Another program has replaced the file of rows, or it can't be replaced. With `keep`, the new file
    /// stays beside it, because the journal names it.
    pub(super) fn publish(&mut self, keep: bool) -> anyhow::Result<()> {
        let state = std::mem::replace(&mut self.state, GroupingState::Rows);
        let GroupingState::Written(new) = state else {
            self.state = state;
            return Ok(());
        };
        let renamed = if identity_at(&self.path) == Some(self.identity) {
            new.persist(&self.path).map_err(|failed| (failed.error.into(), failed.file))
        } else {
            Err((anyhow::anyhow!("another program has removed or replaced it"), new))
        };
        let locked = match renamed {
            Ok(locked) => locked,
            Err((error, new)) => {
                if keep {
                    new.keep()?;
                }
                return Err(error);
            }
        };
        self.state = GroupingState::Published { _locked: locked };
        Ok(File::open(parent(&self.path)).and_then(|folder| folder.sync_all())?)
    }
}

/// Gives the new file the owner and the permissions of the file of rows.
fn copy_rights(rows: &Metadata, new: &File) -> io::Result<()> {
    let own = new.metadata()?;
    if (own.uid(), own.gid()) != (rows.uid(), rows.gid()) {
        // Only root may give files away. The owner of the run can always read the file.
        let _ = fchown(new, Some(rows.uid()), Some(rows.gid()));
    }
    new.set_permissions(rows.permissions())
}

/// Refuses an output in a folder in which no new file can replace it.
///
/// # Errors
/// The folder is not writable.
pub(super) fn refuse_fixed_folder(path: &Path) -> anyhow::Result<()> {
    let path = follow_links(path)?;
    let folder = parent(&path);
    let access = Access::WRITE_OK | Access::EXEC_OK;
    if accessat(CWD, folder, access, AtFlags::EACCESS).is_err() {
        bail!(
            "its rows are grouped in a new file at the end of the run, and {} is not writable: choose \
             another folder",
            folder.display()
        );
    }
    Ok(())
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
    let Some(new) = temporary_files(&path).find(is_new) else { return Ok(()) };
    let locked = File::open(&new)?;
    lock(&locked)?;
    let rows = File::open(&path).ok();
    rows.as_ref().map_or(Ok(()), lock)?;
    if identity_at(&new) != Some(identity(&locked.metadata()?)) {
        bail!("another program has just replaced {}", new.display());
    }
    fs::rename(&new, &path).with_context(|| format!("renaming {}", new.display()))?;
    Ok(File::open(parent(&path))?.sync_all()?)
}

/// Removes the temporary files of runs that were killed while they grouped the rows of this output.
///
/// The output is locked, which proves that no run needs them.
pub(super) fn remove_leftovers(path: &Path) {
    let Ok(path) = follow_links(path) else { return };
    for leftover in temporary_files(&path) {
        let is_unused = File::open(&leftover).is_ok_and(|file| file.try_lock().is_ok());
        if is_unused && begins_as_grouped(&leftover) {
            // One that stays does no harm.
            let _ = fs::remove_file(leftover);
        }
    }
}

/// Returns the regular files that may be temporary files of the output.
fn temporary_files(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = prefix(path.file_name().unwrap_or_default());
    let files = fs::read_dir(parent(path)).into_iter().flatten().flatten();
    files.filter_map(move |file| {
        let found = file.file_name();
        let rest = found.as_bytes().strip_prefix(name.as_bytes())?;
        let middle = rest.strip_suffix(TEMPORARY.as_bytes())?;
        let is_random = middle.len() == RANDOM && middle.iter().all(u8::is_ascii_alphanumeric);
        (is_random && file.file_type().is_ok_and(|kind| kind.is_file())).then(|| file.path())
    })
}

/// Returns whether the file is empty or begins like one of grouped rows.
fn begins_as_grouped(path: &Path) -> bool {
    let mut beginning = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(BEGINNING.len() as u64).read_to_end(&mut beginning));
    read.is_ok() && BEGINNING.starts_with(&beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_temporary_files_are_reserved() {
        let is_reserved = |other: &str| is_reserved(OsStr::new("rows.xml"), OsStr::new(other));
        for reserved in [".rows.xml.aB3xyz.grouped", ".rows.xml..grouped"] {
            assert!(is_reserved(reserved), "{reserved}");
        }
        for free in ["rows.xml", ".rows.xml", "rows.xml.grouped", ".rows.xml.aB3xyz.next"] {
            assert!(!is_reserved(free), "{free}");
        }
    }

    #[test]
    fn only_leftovers_of_this_program_are_removed() {
        let folder = tempfile::tempdir().expect("a folder can be created");
        let at = |name: &str| folder.path().join(name);
        let write = |name, content| fs::write(at(name), content).expect("there is room");
        let kept =
            [".rows.xml.abcdef.grouped", ".rows.xml.abc.grouped", ".rows.xml.lock12.grouped"];
        write(kept[0], "precious\n");
        write(kept[1], "<?xml ");
        write(kept[2], "<?xml ");
        let locked = File::open(at(kept[2])).expect("it exists");
        locked.try_lock().expect("nobody else uses it");
        write(".rows.xml.aaaaaa.grouped", "<?xml version");
        write(".rows.xml.bbbbbb.grouped", "");
        remove_leftovers(&at("rows.xml"));
        let mut left: Vec<_> = folder.path().read_dir().expect("it exists").flatten().collect();
        left.sort_by_key(fs::DirEntry::file_name);
        let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
        let mut kept = kept;
        kept.sort_unstable();
        assert_eq!(left, kept);
    }
}
