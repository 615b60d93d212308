//! The file of `--metrics`, which is replaced atomically when the run ends.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{
    beside::{complete, create_beside, remove_leftovers, replace, sync_folder},
    content::{Content, METRICS_BEGINNING},
    error::OpenError,
    file::{CreatedFile, OpenFile},
    open::OpenRequest,
};
use crate::{args::Check, file_identity::follow_links, read_files::ReadFiles};

/// Maximum number of bytes of earlier metrics that are read: many times more than they have.
const METRICS_MAX: u64 = 1 << 20;

/// The file of `--metrics`, open and locked. Its content stays until new metrics replace it.
///
/// If this run created it and ends without writing metrics, dropping it removes the file.
pub(crate) struct MetricsFile {
    name: String,
    /// The path, without symbolic links at its end.
    path: PathBuf,
    file: OpenFile,
    created: Option<CreatedFile>,
}

impl MetricsFile {
    /// Opens and locks the file without changing it, or creates it.
    ///
    /// # Errors
    /// The file can't be opened or replaced, another run writes to it, or it contains something other
    /// than metrics of an earlier run.
    pub(crate) fn open(check: &Check, path: &Path, reads: &ReadFiles) -> Result<Self, OpenError> {
        let content = Content::Metrics;
        let request = OpenRequest { path, content, check, reads, others: &[] };
        let name = format!("the metrics {}", path.display());
        let opened = request.open().with_context(|| format!("opening {name}"));
        let file = opened.map_err(OpenError::inspecting)?;
        let path = follow_links(path).map_err(anyhow::Error::new)?;
        if file.metadata().is_file() {
            remove_leftovers(&path, METRICS_BEGINNING);
        }
        let created = file.created_file(content);
        Ok(Self { name, path, file, created })
    }

    /// Replaces the content, and returns when that is on the disk. `describe` returns the new content
    /// from that of an earlier run.
    ///
    /// # Errors
    /// The new content can't be written, or another program has removed or replaced the file.
    pub(crate) fn write(mut self, describe: impl FnOnce(&str) -> String) -> anyhow::Result<()> {
        let written = self.replace(describe);
        if written.is_ok() {
            self.created = None;
        }
        written.with_context(|| format!("writing {}", self.name))
    }

    fn replace(&self, describe: impl FnOnce(&str) -> String) -> anyhow::Result<()> {
        if !self.file.metadata().is_file() {
            return Ok(self.file.file().write_all(describe("").as_bytes())?);
        }
        let content = describe(&content(self.file.file())?);
        let mut new = create_beside(&self.path)?;
        new.write_all(content.as_bytes())?;
        complete(new.as_file(), &self.file.file().metadata()?)?;
        let replaced = replace(&self.path, self.file.identity(), new);
        replaced.map_err(|(error, _new)| error)?;
        Ok(sync_folder(&self.path)?)
    }
}

fn content(mut file: &File) -> io::Result<String> {
    let mut content = Vec::new();
    file.rewind()?;
    file.take(METRICS_MAX).read_to_end(&mut content)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

impl Drop for MetricsFile {
    fn drop(&mut self) {
        if let Some(created) = self.created.take().filter(CreatedFile::is_empty) {
            created.remove();
        }
    }
}
