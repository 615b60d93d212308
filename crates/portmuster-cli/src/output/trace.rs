//! The trace that a run with a journal leaves at its outputs until it is complete.
//!
//! Rows do not say whose they are. What another run has appended behind the rows of one that was
//! killed would be cut off when that one is resumed. So the files of a run that can be resumed carry
//! its id in an extended attribute (xattr(7)), and any other run that writes to them replaces or
//! removes it.

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::{BuildHasher, Hasher},
};

use rustix::{
    fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr},
    io::Errno,
};

/// The name of the attribute.
const ATTRIBUTE: &str = "user.portmuster.run";

/// More than an id has bytes.
const ID_MAX: usize = 64;

/// What a file says about the run that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trace {
    /// Nothing.
    None,
    /// Its file system has no such attributes.
    Unsupported,
    Run(Vec<u8>),
}

impl Trace {
    pub(super) fn of(file: &File) -> Self {
        let mut id = [0; ID_MAX];
        match fgetxattr(file, ATTRIBUTE, &mut id) {
            Ok(length) => Self::Run(id[..length].to_vec()),
            Err(Errno::NODATA) => Self::None,
            // Longer than any of ours.
            Err(Errno::RANGE) => Self::Run(Vec::new()),
            Err(_) => Self::Unsupported,
        }
    }
}

/// Leaves the trace of this run; whether that could be done.
pub(super) fn leave(file: &File, id: &str) -> bool {
    fsetxattr(file, ATTRIBUTE, id.as_bytes(), XattrFlags::empty()).is_ok()
}

/// Takes any run's trace away.
pub(super) fn remove(file: &File) {
    // Where there is none, or none can be, nothing is to be done.
    let _ = fremovexattr(file, ATTRIBUTE);
}

/// An id that no other run has.
pub(crate) fn new_run_id() -> String {
    // Each has keys of its own, from the system's source of randomness.
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        assert_ne!(new_run_id(), new_run_id());
    }

    #[test]
    fn trace_stays_with_a_file_until_it_is_removed() {
        let file = tempfile::tempfile().expect("there is room");
        if Trace::of(&file) == Trace::Unsupported {
            assert!(!leave(&file, "a"));
            return;
        }
        assert_eq!(Trace::of(&file), Trace::None);
        for id in ["a", "b"] {
            assert!(leave(&file, id));
            assert_eq!(Trace::of(&file), Trace::Run(id.into()));
        }
        remove(&file);
        remove(&file);
        assert_eq!(Trace::of(&file), Trace::None);
    }
}
