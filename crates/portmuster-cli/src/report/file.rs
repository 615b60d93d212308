//! The file of a report, which appears with its whole content or not at all.

use std::{
    fs::Permissions,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

use crate::{
    file_identity::{follow_links, identity_at, parent},
    read_files::ReadFiles,
};

/// The permissions of a new file, less those that the umask takes.
const MODE: u32 = 0o666;

/// A file that will be written.
pub(super) struct ReportFile {
    name: String,
    path: PathBuf,
    /// Whether an existing file is replaced.
    force: bool,
}

impl ReportFile {
    /// Checks that the file can be written, without changing anything.
    ///
    /// # Errors
    /// It exists and `force` is not set, the command reads it, or it is a folder.
    pub(super) fn prepare(path: &Path, force: bool, reads: &ReadFiles) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let check = || -> anyhow::Result<PathBuf> {
            let path = follow_links(path)?;
            if path.is_dir() {
                bail!("it is a directory: name a file in it");
            }
            if let Some(identity) = identity_at(&path) {
                reads.refuse(identity)?;
                if !force && path.is_file() {
                    bail!("it exists: choose another file, or overwrite it with --force");
                }
            }
            Ok(path)
        };
        let path = check().with_context(|| format!("opening the report {name}"))?;
        Ok(Self { name, path, force })
    }

    /// Writes the content to a new file beside the report, which then takes its place.
    ///
    /// # Errors
    /// The folder or the disk can't be written, or the file has appeared meanwhile.
    pub(super) fn write(&self, content: &[u8]) -> anyhow::Result<()> {
        self.replace(content).with_context(|| format!("writing the report {}", self.name))
    }

    fn replace(&self, content: &[u8]) -> anyhow::Result<()> {
        if self.path.exists() && !self.path.is_file() {
            // A pipe or a device.
            return Ok(std::fs::write(&self.path, content)?);
        }
        let mut new = self.create()?;
        new.write_all(content)?;
        if let Ok(existing) = self.path.metadata() {
            new.as_file().set_permissions(Permissions::from_mode(existing.permissions().mode()))?;
        }
        new.as_file().sync_all()?;
        if self.force {
            new.persist(&self.path)?;
            return Ok(());
        }
        match new.persist_noclobber(&self.path) {
            Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => {
                bail!("another program has created it: choose another file, or use --force")
            }
            persisted => persisted.map(drop).map_err(|failed| failed.error.into()),
        }
    }

    /// Creates a new file beside the report, with the permissions of any new file.
    fn create(&self) -> std::io::Result<NamedTempFile> {
        let open = |path: &Path| {
            std::fs::File::options().write(true).create_new(true).mode(MODE).open(path)
        };
        let file = tempfile::Builder::new()
            .prefix(".report.")
            .suffix(".new")
            .make_in(parent(&self.path), open)?;
        Ok(file)
    }
}
