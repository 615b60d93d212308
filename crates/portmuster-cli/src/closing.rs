//! The file of `--summary`: what a run has found in all, for other programs.

use std::{
    fs::{self, Metadata, OpenOptions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::{Access, access};

mod record;

pub(crate) use self::record::SummaryRecord;
use crate::{
    args::Check,
    file_identity::{follow_links, parent, regular_at},
    read_files::ReadFiles,
};

/// The permissions of a new file before the umask applies.
const MODE: u32 = 0o666;

/// Where the summary of a run is written at its end.
#[derive(Debug)]
pub(crate) struct ClosingFile {
    /// `None`: standard output.
    path: Option<PathBuf>,
    /// Whether the summary is added to what the file contains.
    appends: bool,
}

impl ClosingFile {
    /// Returns the file of the command line, which is not changed yet; `None`: there is none.
    ///
    /// # Errors
    /// The file exists, the run reads it, or it can't be written.
    pub(crate) fn of(check: &Check, reads: &ReadFiles) -> anyhow::Result<Option<Self>> {
        let Some(spec) = &check.summary else { return Ok(None) };
        let appends = check.existing.append;
        let Some(path) = spec.file() else {
            if check.outputs.iter().any(|output| output.file().is_none()) {
                bail!(
                    "an output goes to stdout as well: write the summary to a file with --summary json=FILE"
                );
            }
            reads.refuse_stdout()?;
            return Ok(Some(Self { path: None, appends }));
        };
        let may_exist = appends || check.existing.force || check.journal.resume;
        refuse(path, may_exist, reads)
            .with_context(|| format!("opening the summary {}", path.display()))?;
        Ok(Some(Self { path: Some(path.to_owned()), appends }))
    }

    /// Writes the summary: replaces the file at once, or adds a line to it.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn write(&self, record: &SummaryRecord) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let Some(path) = &self.path else {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(&line).and_then(|()| stdout.flush());
            return match written {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written.context("writing the summary to standard output"),
            };
        };
        let written = if self.appends || !is_replaceable(path) {
            append(path, &line)
        } else {
            replace(path, &line)
        };
        written.with_context(|| format!("writing the summary {}", path.display()))
    }
}

/// Refuses a file that must stay as it is, and one that can't be written.
fn refuse(path: &Path, may_exist: bool, reads: &ReadFiles) -> anyhow::Result<()> {
    if let Some(identity) = regular_at(path) {
        reads.refuse(identity)?;
        if !may_exist {
            bail!("it exists: --append appends to it, --force overwrites it");
        }
    }
    match path.metadata() {
        Ok(found) if found.is_dir() => bail!("it is a directory"),
        Ok(_) => access(path, Access::WRITE_OK)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    if is_replaceable(path) {
        access(parent(&follow_links(path)?), Access::WRITE_OK | Access::EXEC_OK)?;
    }
    Ok(())
}

/// Returns whether the path is that of a regular file or of none. A pipe or a device stays.
fn is_replaceable(path: &Path) -> bool {
    path.metadata().as_ref().map_or(true, Metadata::is_file)
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(line)
}

/// Replaces the file, so that at any moment it has either its old content or the new one.
fn replace(path: &Path, line: &[u8]) -> io::Result<()> {
    let path = follow_links(path)?;
    let permissions =
        path.metadata().map_or(fs::Permissions::from_mode(MODE), |it| it.permissions());
    let mut new = tempfile::Builder::new()
        .prefix(".portmuster-summary.")
        .permissions(permissions)
        .tempfile_in(parent(&path))?;
    new.write_all(line)?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn file_is_replaced_through_links_and_a_device_stays() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| folder.path().join(name);
        symlink("target", at("link")).expect("a link is created");
        for line in [&b"one\n"[..], b"two\n"] {
            replace(&at("link"), line).expect("the folder is writable");
            assert_eq!(fs::read(at("target")).expect("it was written"), line);
        }
        append(&at("target"), b"three\n").expect("the file is writable");
        assert_eq!(fs::read(at("target")).expect("it exists"), b"two\nthree\n");
        assert!(at("link").symlink_metadata().expect("it exists").is_symlink());
        assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 2);
        assert!(is_replaceable(&at("target")) && !is_replaceable(Path::new("/dev/null")));
    }
}
