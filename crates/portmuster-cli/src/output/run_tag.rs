//! The tag of a run with a journal: its id in an extended attribute (xattr(7)) of its output files.
//!
//! Rows do not name their run. If another run appended rows to the file of a killed run, resuming
//! the killed run would truncate them. Therefore a run with a journal tags its files until it is
//! complete, and any other run that writes to them replaces or removes the tag.

use std::fs::File;

use rustix::{
    fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr},
    io::Errno,
};

/// The name of the attribute.
const ATTRIBUTE: &str = "user.portmuster.run";

/// Size of the buffer for an id; longer than any id of this program.
const ID_MAX: usize = 64;

/// The tag of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunTag {
    /// The file has no tag.
    Missing,
    /// The file system has no extended attributes.
    Unsupported,
    /// The id of a run; empty if it is longer than any id of this program.
    Run(Vec<u8>),
}

impl RunTag {
    /// Reads the tag of a file.
    pub(super) fn read(file: &File) -> Self {
        let mut id = [0; ID_MAX];
        match fgetxattr(file, ATTRIBUTE, &mut id) {
            Ok(length) => Self::Run(id[..length].to_vec()),
            Err(Errno::NODATA) => Self::Missing,
            Err(Errno::RANGE) => Self::Run(Vec::new()),
            Err(_) => Self::Unsupported,
        }
    }
}

/// Tags a file with the id of a run; returns whether the file system supports that.
pub(super) fn set(file: &File, id: &str) -> bool {
    fsetxattr(file, ATTRIBUTE, id.as_bytes(), XattrFlags::empty()).is_ok()
}

/// Removes the tag of any run.
pub(super) fn remove(file: &File) {
    // An error means that there is no tag to remove.
    let _ = fremovexattr(file, ATTRIBUTE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_stays_until_it_is_removed() {
        let file = tempfile::tempfile().expect("a temporary file");
        if RunTag::read(&file) == RunTag::Unsupported {
            assert!(!set(&file, "a"));
            return;
        }
        assert_eq!(RunTag::read(&file), RunTag::Missing);
        for id in ["a", "b"] {
            assert!(set(&file, id));
            assert_eq!(RunTag::read(&file), RunTag::Run(id.into()));
        }
        remove(&file);
        remove(&file);
        assert_eq!(RunTag::read(&file), RunTag::Missing);
    }
}
