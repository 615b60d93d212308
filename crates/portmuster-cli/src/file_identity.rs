//! Which file a path or a standard stream refers to.

use std::{
    fs::{self, Metadata},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FileType, fstat};

/// Maximum number of symbolic links that are followed, the limit of Linux.
const LINKS_MAX: usize = 40;

/// Device and inode of a file.
pub(crate) type Identity = (u64, u64);

/// Returns the identity in the metadata of a file.
pub(crate) fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Returns the identity of the file at the path; `None`: there is none, or it is not accessible.
pub(crate) fn identity_at(path: &Path) -> Option<Identity> {
    path.metadata().ok().as_ref().map(identity)
}

/// Returns the identity of the regular file at the path; `None`: there is none.
pub(crate) fn regular_at(path: &Path) -> Option<Identity> {
    path.metadata().ok().filter(Metadata::is_file).as_ref().map(identity)
}

/// A regular file that a standard stream is redirected to.
pub(crate) struct Redirected {
    pub(crate) identity: Identity,
    pub(crate) length: u64,
    /// Whether any path leads to the file.
    pub(crate) has_name: bool,
}

/// Returns the regular file behind a standard stream; `None`: the stream is something else.
pub(crate) fn redirected(stream: &impl AsFd) -> Option<Redirected> {
    let stat = fstat(stream).ok()?;
    let length = u64::try_from(stat.st_size).unwrap_or_default();
    let file =
        Redirected { identity: (stat.st_dev, stat.st_ino), length, has_name: stat.st_nlink > 0 };
    FileType::from_raw_mode(stat.st_mode).is_file().then_some(file)
}

/// Resolves symbolic links at the end of the path, even if the last one is dangling.
///
/// # Errors
/// The links form a cycle or can't be read.
pub(crate) fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                let link = fs::read_link(&path)?;
                path = parent(&path).join(link);
            }
            _ => return Ok(path),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// Returns the directory that contains the last component of the path.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder == Path::new("") => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn dangling_links_are_followed_and_cycles_are_errors() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| folder.path().join(name);
        symlink("b", at("a")).expect("a link is created");
        symlink("nowhere", at("b")).expect("a link is created");
        assert_eq!(follow_links(&at("a")).expect("the links end"), at("nowhere"));
        symlink("d", at("c")).expect("a link is created");
        symlink("c", at("d")).expect("a link is created");
        assert!(follow_links(&at("c")).is_err());
    }
}
