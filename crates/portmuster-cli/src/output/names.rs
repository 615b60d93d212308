//! Which file a path names, and names that a run must not write to: of what it reads, and of what
//! belongs to its journal and its databases.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::fstat;

use super::name;
use crate::{
    args::{Check, OutputSpec},
    journal,
};

/// Symbolic links that are followed, as many as the system does.
const LINKS_MAX: usize = 40;

/// What `SQLite` adds to the name of a database (<https://www.sqlite.org/tempfiles.html>).
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What the files begin with that `SQLite` makes beside a database: a rollback journal, and a log in
/// either byte order.
const SIDECAR_MAGIC: [&[u8]; 3] =
    [b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"];

/// What a database begins with (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const DATABASE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Device and inode.
pub(crate) type Identity = (u64, u64);

pub(crate) fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Which file the path names; `None`: none that can be read.
pub(super) fn identity_at(path: &Path) -> Option<Identity> {
    path.metadata().ok().as_ref().map(identity)
}

/// Which file it is, if it is a regular one.
fn regular_at(path: &Path) -> Option<Identity> {
    path.metadata().ok().filter(Metadata::is_file).as_ref().map(identity)
}

/// The regular file that a standard stream is; `None`: it is something else.
pub(super) fn redirected(stream: &impl std::os::fd::AsFd) -> Option<(Identity, u64, bool)> {
    let stat = fstat(stream).ok()?;
    let is_file = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
    let length = u64::try_from(stat.st_size).unwrap_or_default();
    is_file.then_some(((stat.st_dev, stat.st_ino), length, stat.st_nlink > 0))
}

/// The path without a symbolic link at its end, also where the last one leads to nothing.
///
/// # Errors
/// The links go round in a circle, or can't be read.
pub(super) fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                let link = fs::read_link(&path)?;
                path = folder(&path).join(link);
            }
            _ => return Ok(path),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder == Path::new("") => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    }
}

/// A name in a folder, however the way there is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    folder: Identity,
    name: OsString,
    path: PathBuf,
}

impl Spot {
    /// `None`: there is no such folder, or the path has no last name.
    fn of(path: &Path) -> Option<Self> {
        let path = followed(path).ok()?;
        let name = path.file_name()?.to_owned();
        Some(Self { folder: identity_at(folder(&path))?, name, path })
    }

    /// The name in the same folder that has this behind its end.
    fn with(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Whether both are the same name, or names of the same file.
    fn is(&self, other: &Path) -> bool {
        let is_same_name =
            |other: Self| (other.folder, other.name) == (self.folder, self.name.clone());
        Self::of(other).is_some_and(is_same_name)
            || identity_at(&self.path).is_some_and(|own| identity_at(other) == Some(own))
    }
}

/// A file that the run reads.
#[derive(Debug)]
struct ReadFile {
    name: String,
    /// What it is read as.
    what: &'static str,
    path: Option<PathBuf>,
    identity: Identity,
}

/// The files that a run reads, none of which it may write to.
#[derive(Debug, Default)]
pub(crate) struct ReadFiles(Vec<ReadFile>);

impl ReadFiles {
    /// What `check` reads.
    pub(crate) fn of(check: &Check) -> Self {
        let mut files = Self::default();
        check.inputs.iter().for_each(|path| files.add(path, "an input"));
        check.selection.exclude_file.iter().for_each(|path| files.add(path, "an exclude file"));
        files
    }

    /// Adds a file; `-` is standard input. A pipe or a device has nothing that could be lost.
    pub(crate) fn add(&mut self, path: &Path, what: &'static str) {
        let file = if path == Path::new("-") {
            redirected(&io::stdin()).map(|(identity, ..)| ("standard input".into(), None, identity))
        } else {
            regular_at(path).map(|identity| (name(path), Some(path.to_owned()), identity))
        };
        let file = file.map(|(name, path, identity)| ReadFile { name, what, path, identity });
        self.0.extend(file);
    }

    /// # Errors
    /// It is one of these.
    pub(super) fn refuse(&self, identity: Identity) -> anyhow::Result<()> {
        match self.0.iter().find(|file| file.identity == identity) {
            Some(file) => bail!("it is read as {} as well; choose another file", file.what),
            None => Ok(()),
        }
    }

    /// # Errors
    /// Standard output is one of these.
    pub(crate) fn refuse_stdout(&self) -> anyhow::Result<()> {
        let Some((identity, ..)) = redirected(&io::stdout()) else { return Ok(()) };
        match self.0.iter().find(|file| file.identity == identity) {
            Some(ReadFile { name, what, .. }) => {
                bail!(
                    "standard output goes to {name}, which is read as {what}; choose another file"
                )
            }
            None => Ok(()),
        }
    }
}

/// Refuses outputs and journals under names at which something else would write to them, or which
/// belong to what is there.
///
/// # Errors
/// Which it is, and whose name it has.
pub(crate) fn refuse_reserved(check: &Check, reads: &ReadFiles) -> anyhow::Result<()> {
    let journal = check.journaling.journal.as_deref();
    let outputs = || check.outputs.iter().filter_map(OutputSpec::file);
    let written: Vec<&Path> = outputs().chain(journal).chain(check.measure.as_deref()).collect();
    let read = reads.0.iter().filter_map(|file| file.path.as_deref());
    let all: Vec<&Path> = written.iter().copied().chain(read).collect();
    for database in check.outputs.iter().filter(|output| output.is_database()) {
        let path = database.file().context("a database is a file")?;
        refuse_beside_database(path, &all)?;
    }
    if let Some(journal) = journal {
        refuse_beside_journal(journal, &all)?;
    }
    for path in written {
        refuse_beside_existing(path)?;
    }
    if let Some(measure) = &check.measure {
        let refused = regular_at(measure).map_or(Ok(()), |identity| reads.refuse(identity));
        refused.with_context(|| format!("opening {}", name(measure)))?;
    }
    Ok(())
}

/// None of these may be a file that `SQLite` makes beside the database.
fn refuse_beside_database(database: &Path, others: &[&Path]) -> anyhow::Result<()> {
    let Some(spot) = Spot::of(database) else { return Ok(()) };
    let is_new = spot.path.metadata().map_or(true, |metadata| metadata.len() == 0);
    for suffix in SIDECARS {
        let Some(sidecar) = Spot::of(&spot.with(suffix)) else { continue };
        if let Some(other) = others.iter().find(|other| sidecar.is(other)) {
            bail!(
                "{} is where SQLite keeps what belongs to the database {}; choose another name",
                name(other),
                name(database)
            );
        }
        // SQLite takes what it finds beside a new database for its own, and deletes it.
        let beginning = || beginning(&sidecar.path, 8).unwrap_or_default();
        if is_new && !is_sidecar(&beginning()) {
            bail!(
                "{} is in the way of the database {}, for SQLite would delete it; move it, or choose \
                 another name for the database",
                name(&sidecar.path),
                name(database)
            );
        }
    }
    Ok(())
}

/// Whether `SQLite` has made what begins like this, or it is empty. The index of a log (`-shm`) begins
/// with its version (<https://www.sqlite.org/walformat.html#the_wal_index_header>).
fn is_sidecar(beginning: &[u8]) -> bool {
    const INDEX_VERSION: u32 = 3_007_000;
    let is_index = || beginning.starts_with(&INDEX_VERSION.to_ne_bytes());
    let is_zeros = || beginning.iter().all(|&byte| byte == 0);
    is_zeros() || is_index() || SIDECAR_MAGIC.iter().any(|magic| beginning.starts_with(magic))
}

/// None of these may have a name under which the journal's next version is made ready.
fn refuse_beside_journal(journal: &Path, others: &[&Path]) -> anyhow::Result<()> {
    let Some(spot) = Spot::of(journal) else { return Ok(()) };
    for other in others {
        let is_in_the_way = Spot::of(other).is_some_and(|other| {
            other.folder == spot.folder && journal::is_temporary(&spot.name, &other.name)
        });
        if is_in_the_way {
            bail!(
                "{} is a name that the journal {} uses for itself; choose another name",
                name(other),
                name(journal)
            );
        }
    }
    Ok(())
}

/// It may not be a file that `SQLite` keeps beside a database that is there.
fn refuse_beside_existing(path: &Path) -> anyhow::Result<()> {
    let Some(spot) = Spot::of(path) else { return Ok(()) };
    for suffix in SIDECARS {
        let stem = spot.name.as_bytes().strip_suffix(suffix.as_bytes());
        let Some(stem) = stem.filter(|stem| !stem.is_empty()) else { continue };
        let database = folder(&spot.path).join(OsStr::from_bytes(stem));
        let is_database = || {
            beginning(&database, DATABASE_MAGIC.len()).is_ok_and(|bytes| bytes == DATABASE_MAGIC)
        };
        if is_database() {
            bail!(
                "{} is where SQLite keeps what belongs to the database {}; choose another name",
                name(path),
                name(&database)
            );
        }
    }
    Ok(())
}

/// The first bytes of a regular file.
fn beginning(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A pipe would wait for somebody at its other end.
    if path.metadata()?.is_file() {
        File::open(path)?.take(length as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_are_the_same_however_the_way_to_them_is_written() {
        let folder = tempfile::tempdir().expect("there is room");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("inner")).expect("there is room");
        symlink(at("inner"), at("way")).expect("there is room");
        symlink("inner/rows", at("link")).expect("there is room");
        let spot = Spot::of(&at("inner/rows")).expect("its folder is there");
        for same in ["inner/../inner/rows", "way/rows", "link", "inner/./rows"] {
            assert!(spot.is(&at(same)), "{same}");
        }
        for other in ["rows", "inner/row", "nowhere/rows", "way"] {
            assert!(!spot.is(&at(other)), "{other}");
        }
        fs::write(at("inner/rows"), "").expect("there is room");
        fs::hard_link(at("inner/rows"), at("hard")).expect("there is room");
        assert!(spot.is(&at("hard")));
    }

    #[test]
    fn links_that_lead_nowhere_are_followed_and_circles_are_errors() {
        let folder = tempfile::tempdir().expect("there is room");
        let at = |name: &str| folder.path().join(name);
        symlink("b", at("a")).expect("there is room");
        symlink("nowhere", at("b")).expect("there is room");
        assert_eq!(followed(&at("a")).expect("it has an end"), at("nowhere"));
        symlink("d", at("c")).expect("there is room");
        symlink("c", at("d")).expect("there is room");
        assert!(followed(&at("c")).is_err());
    }

    #[test]
    fn what_sqlite_makes_beside_a_database_is_known() {
        for made in [&b""[..], &[0; 8], SIDECAR_MAGIC[0], b"\x37\x7f\x06\x82\0\0\0\0"] {
            assert!(is_sidecar(made), "{made:?}");
        }
        assert!(!is_sidecar(b"10.0.0.5"));
    }
}
