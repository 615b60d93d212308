//! Names that a run must not write to, because they belong to its journal or to a database.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use portmuster::journal::is_reserved_name;

use crate::{
    args::{Check, OutputSpec, SummarySpec},
    file_identity::{Identity, follow_links, identity_at, parent, redirected, regular_at},
    output::is_reserved_beside,
    read_files::ReadFiles,
};

/// The suffixes of the files that `SQLite` keeps beside a database
/// (<https://www.sqlite.org/tempfiles.html>).
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The first bytes of a rollback journal of `SQLite`, and of a write-ahead log in either byte
/// order.
const SIDECAR_MAGIC: [&[u8]; 3] =
    [b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"];

/// The first bytes of a database (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const DATABASE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Refuses outputs and journals whose names the journal, a database or `SQLite` uses itself.
///
/// # Errors
/// One of the names is reserved: which one, and by which file.
pub(crate) fn refuse_reserved(check: &Check, reads: &ReadFiles) -> anyhow::Result<()> {
    let journal = check.journal.journal.as_deref();
    let outputs = check.outputs.iter().filter_map(OutputSpec::file);
    let others: Vec<_> = outputs.chain(journal).chain(check.measure.as_deref()).collect();
    let closing = closing_files(check);
    let written: Vec<_> = others.iter().copied().chain(closing.iter().map(|it| it.1)).collect();
    let all: Vec<&Path> = written.iter().copied().chain(reads.paths()).collect();
    for database in check.outputs.iter().filter(|output| output.is_database()) {
        let path = database.file().context("a database is a file")?;
        refuse_beside_database(path, &all)?;
    }
    if let Some(journal) = journal {
        refuse_beside_journal(journal, &all)?;
    }
    let grouped = check.outputs.iter().filter(|output| output.format().groups_rows());
    let replaced = grouped.filter_map(OutputSpec::file).chain(check.reports.metrics.as_deref());
    for path in replaced {
        refuse_beside_replaced(path, &all)?;
    }
    for path in written {
        refuse_beside_existing(path)?;
    }
    for (at, &(what, path)) in closing.iter().enumerate() {
        let earlier = closing[..at].iter().map(|it| it.1);
        refuse_shared(what, path, others.iter().copied().chain(earlier))?;
    }
    if let Some(measure) = &check.measure {
        let refused = regular_at(measure).map_or(Ok(()), |identity| reads.refuse(identity));
        refused.with_context(|| format!("opening {}", name(measure)))?;
    }
    Ok(())
}

/// Returns the files that are written at the end of the run, each with the words for it.
fn closing_files(check: &Check) -> Vec<(&'static str, &Path)> {
    let summary = check.summary.as_ref().and_then(SummarySpec::file);
    let (metrics, junit) = (&check.reports.metrics, &check.reports.gates_junit);
    let summary = summary.map(|path| ("the summary", path));
    let metrics = metrics.as_deref().map(|path| ("the metrics", path));
    let junit = junit.as_deref().map(|path| ("the gates", path));
    summary.into_iter().chain(metrics).chain(junit).collect()
}

/// Refuses what is written at the end of the run in a file that the run writes to anyway.
fn refuse_shared<'a>(
    what: &str,
    path: &Path,
    others: impl IntoIterator<Item = &'a Path>,
) -> anyhow::Result<()> {
    let location = Location::of(path);
    let is_shared = |other: &&Path| location.as_ref().is_some_and(|own| own.is(other));
    let stdout = || redirected(&io::stdout()).map(|file| file.identity);
    let is_stdout = regular_at(path).is_some_and(|own| stdout() == Some(own));
    if is_stdout || others.into_iter().any(|other| is_shared(&other)) {
        bail!("{} is another output as well: give {what} its own file", name(path));
    }
    Ok(())
}

/// A name in a directory, independent of how the path to it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Location {
    folder: Identity,
    name: OsString,
    path: PathBuf,
}

impl Location {
    /// Returns the location of the path; `None`: the directory does not exist, or the path has no
    /// last component.
    fn of(path: &Path) -> Option<Self> {
        let path = follow_links(path).ok()?;
        let name = path.file_name()?.to_owned();
        Some(Self { folder: identity_at(parent(&path))?, name, path })
    }

    /// Returns the path with a suffix added to its name.
    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Returns whether the other path is the same name, or a name of the same file.
    fn is(&self, other: &Path) -> bool {
        let is_same_name =
            |other: Self| (other.folder, other.name) == (self.folder, self.name.clone());
        Self::of(other).is_some_and(is_same_name)
            || identity_at(&self.path).is_some_and(|own| identity_at(other) == Some(own))
    }
}

/// Refuses any of the paths that is a file of `SQLite` beside the database.
fn refuse_beside_database(database: &Path, others: &[&Path]) -> anyhow::Result<()> {
    let Some(location) = Location::of(database) else { return Ok(()) };
    let is_new = location.path.metadata().map_or(true, |metadata| metadata.len() == 0);
    for suffix in SIDECARS {
        let Some(sidecar) = Location::of(&location.with_suffix(suffix)) else { continue };
        if let Some(other) = others.iter().find(|other| sidecar.is(other)) {
            bail!(
                "{} is a file that SQLite uses for the database {}: choose another name",
                name(other),
                name(database)
            );
        }
        // SQLite treats a file that it finds beside a new database as its own, and deletes it.
        let content = || first_bytes(&sidecar.path, 8).unwrap_or_default();
        if is_new && !is_sidecar(&content()) {
            bail!(
                "SQLite would delete {} when it creates the database {}: move that file, or choose \
                 another name for the database",
                name(&sidecar.path),
                name(database)
            );
        }
    }
    Ok(())
}

/// Returns whether `SQLite` wrote a file with this beginning, or the file is empty or all zeros.
///
/// The index of a log (`-shm`) begins with its version
/// (<https://www.sqlite.org/walformat.html#the_wal_index_header>).
fn is_sidecar(beginning: &[u8]) -> bool {
    const INDEX_VERSION: u32 = 3_007_000;
    let is_index = || beginning.starts_with(&INDEX_VERSION.to_ne_bytes());
    let is_zeros = || beginning.iter().all(|&byte| byte == 0);
    is_zeros() || is_index() || SIDECAR_MAGIC.iter().any(|magic| beginning.starts_with(magic))
}

/// Refuses any of the paths that the journal uses to write its next version.
fn refuse_beside_journal(journal: &Path, others: &[&Path]) -> anyhow::Result<()> {
    match find_beside(journal, others, is_reserved_name) {
        Some(other) => bail!(
            "{} is a name that the journal {} uses internally: choose another name",
            name(other),
            name(journal)
        ),
        None => Ok(()),
    }
}

/// Refuses any of the paths that a run uses to replace the output.
fn refuse_beside_replaced(output: &Path, others: &[&Path]) -> anyhow::Result<()> {
    match find_beside(output, others, is_reserved_beside) {
        Some(other) => bail!(
            "{} is a name that the output {} uses internally: choose another name",
            name(other),
            name(output)
        ),
        None => Ok(()),
    }
}

/// Returns the first of the paths whose name in the directory of `path` is reserved for it.
fn find_beside<'a>(
    path: &Path,
    others: &[&'a Path],
    is_reserved: fn(&OsStr, &OsStr) -> bool,
) -> Option<&'a Path> {
    let location = Location::of(path)?;
    let is_in_the_way = |other: &&&Path| {
        let other = Location::of(other);
        other
            .is_some_and(|it| it.folder == location.folder && is_reserved(&location.name, &it.name))
    };
    others.iter().find(is_in_the_way).copied()
}

/// Refuses a path that is a file of `SQLite` beside an existing database.
fn refuse_beside_existing(path: &Path) -> anyhow::Result<()> {
    let Some(location) = Location::of(path) else { return Ok(()) };
    for suffix in SIDECARS {
        let stem = location.name.as_bytes().strip_suffix(suffix.as_bytes());
        let Some(stem) = stem.filter(|stem| !stem.is_empty()) else { continue };
        let database = parent(&location.path).join(OsStr::from_bytes(stem));
        let is_database = || {
            first_bytes(&database, DATABASE_MAGIC.len()).is_ok_and(|bytes| bytes == DATABASE_MAGIC)
        };
        if is_database() {
            bail!(
                "{} is a file that SQLite uses for the database {}: choose another name",
                name(path),
                name(&database)
            );
        }
    }
    Ok(())
}

/// Reads up to `length` bytes from the beginning of a regular file.
fn first_bytes(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Opening a pipe would wait for a process at its other end.
    if path.metadata()?.is_file() {
        File::open(path)?.take(length as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn locations_are_equal_however_their_paths_are_written() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("inner")).expect("the file system works");
        symlink(at("inner"), at("way")).expect("the file system works");
        symlink("inner/rows", at("link")).expect("the file system works");
        let location = Location::of(&at("inner/rows")).expect("its directory exists");
        for same in ["inner/../inner/rows", "way/rows", "link", "inner/./rows"] {
            assert!(location.is(&at(same)), "{same}");
        }
        for other in ["rows", "inner/row", "nowhere/rows", "way"] {
            assert!(!location.is(&at(other)), "{other}");
        }
        fs::write(at("inner/rows"), "").expect("the file system works");
        fs::hard_link(at("inner/rows"), at("hard")).expect("the file system works");
        assert!(location.is(&at("hard")));
    }

    #[test]
    fn files_of_sqlite_are_recognised() {
        for made in [&b""[..], &[0; 8], SIDECAR_MAGIC[0], b"\x37\x7f\x06\x82\0\0\0\0"] {
            assert!(is_sidecar(made), "{made:?}");
        }
        assert!(!is_sidecar(b"10.0.0.5"));
    }
}
