//! New files that are written beside an output and then replace it.
//!
//! They have names that [`is_reserved_name`], and are locked like the output.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, fchown},
    },
    path::{Path, PathBuf},
};

use anyhow::{anyhow, bail};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use tempfile::NamedTempFile;

use super::lock::lock;
use crate::file_identity::{Identity, follow_links, identity_at, parent};

/// The suffix of new files.
const SUFFIX: &str = ".new";

/// Number of random characters in the name of a new file.
const RANDOM: usize = 6;

/// Returns whether an output with this file name reserves the other name in its directory.
pub(crate) fn is_reserved_name(output: &OsStr, other: &OsStr) -> bool {
    let rest = other.as_bytes().strip_prefix(prefix(output).as_bytes());
    rest.is_some_and(|rest| rest.ends_with(SUFFIX.as_bytes()))
}

/// Returns the prefix of the names of new files for the output.
fn prefix(output: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(output);
    prefix.push(".");
    prefix
}

/// Creates and locks a new file beside the output, whose path has no symbolic link at its end.
///
/// # Errors
/// The file can't be created or locked.
pub(super) fn create_beside(output: &Path) -> anyhow::Result<NamedTempFile> {
    // A random name, so that no existing file is overwritten.
    let new = tempfile::Builder::new()
        .prefix(&prefix(output.file_name().unwrap_or_default()))
        .rand_bytes(RANDOM)
        .suffix(SUFFIX)
        .tempfile_in(parent(output))?;
    lock(new.as_file())?;
    Ok(new)
}

/// Gives the new file the owner and the permissions of the output, and returns when it is on the disk.
///
/// # Errors
/// The permissions can't be changed, or the disk can't be written.
pub(super) fn complete(new: &File, output: &Metadata) -> io::Result<()> {
    let own = new.metadata()?;
    if (own.uid(), own.gid()) != (output.uid(), output.gid()) {
        // Only root may give files away. The owner of the run can always read the file.
        let _ = fchown(new, Some(output.uid()), Some(output.gid()));
    }
    new.set_permissions(output.permissions())?;
    new.sync_all()
}

/// Replaces the output, which is the file `identity`, and returns the new file, which is still locked.
///
/// # Errors
/// Another program has removed or replaced the output, or it can't be replaced. The new file is returned
/// as well; dropping it removes it.
pub(super) fn replace(
    output: &Path,
    identity: Identity,
    new: NamedTempFile,
) -> Result<File, (anyhow::Error, NamedTempFile)> {
    if identity_at(output) != Some(identity) {
        return Err((anyhow!("another program has removed or replaced it"), new));
    }
    new.persist(output).map_err(|failed| (failed.error.into(), failed.file))
}

/// Returns when the name of the output is on the disk.
///
/// # Errors
/// The directory can't be synced.
pub(super) fn sync_folder(output: &Path) -> io::Result<()> {
    File::open(parent(output))?.sync_all()
}

/// Refuses an output in a folder in which no new file can replace it.
///
/// # Errors
/// The folder is not writable.
pub(super) fn refuse_fixed_folder(output: &Path) -> anyhow::Result<()> {
    let output = follow_links(output)?;
    let folder = parent(&output);
    let access = Access::WRITE_OK | Access::EXEC_OK;
    if accessat(CWD, folder, access, AtFlags::EACCESS).is_err() {
        bail!(
            "a new file replaces it at the end of the run, and {} is not writable: choose another directory",
            folder.display()
        );
    }
    Ok(())
}

/// Removes the new files of runs that were killed before they replaced the output.
///
/// The output is locked, which proves that no run needs them. Files that do not begin like the output
/// stay.
pub(super) fn remove_leftovers(output: &Path, beginning: &str) {
    let Ok(output) = follow_links(output) else { return };
    for leftover in new_files(&output) {
        let is_unused = File::open(&leftover).is_ok_and(|file| file.try_lock().is_ok());
        if is_unused && begins_with(&leftover, beginning) {
            // One that stays does no harm.
            let _ = fs::remove_file(leftover);
        }
    }
}

/// Returns the regular files that may be new files for the output.
pub(super) fn new_files(output: &Path) -> impl Iterator<Item = PathBuf> {
    let name = prefix(output.file_name().unwrap_or_default());
    let files = fs::read_dir(parent(output)).into_iter().flatten().flatten();
    files.filter_map(move |file| {
        let found = file.file_name();
        let rest = found.as_bytes().strip_prefix(name.as_bytes())?;
        let middle = rest.strip_suffix(SUFFIX.as_bytes())?;
        let is_random = middle.len() == RANDOM && middle.iter().all(u8::is_ascii_alphanumeric);
        (is_random && file.file_type().is_ok_and(|kind| kind.is_file())).then(|| file.path())
    })
}

/// Returns whether the file has this beginning, or is shorter and has a part of it.
fn begins_with(path: &Path, beginning: &str) -> bool {
    let mut found = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(beginning.len() as u64).read_to_end(&mut found));
    read.is_ok() && beginning.as_bytes().starts_with(&found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_new_files_are_reserved() {
        let is_reserved = |other: &str| is_reserved_name(OsStr::new("rows.xml"), OsStr::new(other));
        for reserved in [".rows.xml.aB3xyz.new", ".rows.xml..new"] {
            assert!(is_reserved(reserved), "{reserved}");
        }
        for free in ["rows.xml", ".rows.xml", "rows.xml.new", ".rows.xml.aB3xyz.next"] {
            assert!(!is_reserved(free), "{free}");
        }
    }

    #[test]
    fn only_leftovers_of_this_program_are_removed() {
        let folder = tempfile::tempdir().expect("a folder can be created");
        let at = |name: &str| folder.path().join(name);
        let write = |name, content| fs::write(at(name), content).expect("there is room");
        let mut kept = [".rows.xml.abcdef.new", ".rows.xml.abc.new", ".rows.xml.lock12.new"];
        write(kept[0], "precious\n");
        write(kept[1], "<?xml ");
        write(kept[2], "<?xml ");
        let locked = File::open(at(kept[2])).expect("it exists");
        locked.try_lock().expect("nobody else uses it");
        write(".rows.xml.aaaaaa.new", "<?xml version");
        write(".rows.xml.bbbbbb.new", "");
        remove_leftovers(&at("rows.xml"), "<?xml ");
        let entries = folder.path().read_dir().expect("it exists").flatten();
        let mut left: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        left.sort_unstable();
        kept.sort_unstable();
        assert_eq!(left, kept);
    }
}
