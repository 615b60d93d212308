//! Files that are written when the run ends, and opened and locked as the files of rows are.

use std::{io::Write, mem, path::Path};

use anyhow::Context;

use super::{
    content::{ClosingContent, Content},
    error::OpenError,
    file::{CreatedFile, ExpectedFile, OpenFile, RowTarget},
    open::OpenRequest,
    writes::OutputFile,
};
use crate::{args::Check, read_files::ReadFiles};

/// A file that is written when the run ends, open and locked.
///
/// If this run created it and ends without writing to it, dropping it removes the file.
pub(crate) struct ClosingFile {
    name: String,
    state: State,
    created: Option<CreatedFile>,
    /// `None`: a device or a pipe.
    expected: Option<ExpectedFile>,
}

enum State {
    /// Not changed yet.
    Open(OpenFile),
    /// Ready to be written.
    Begun(RowTarget),
    /// It was written, or an error has made that impossible.
    Done,
}

impl ClosingFile {
    /// Opens and locks the file without changing it, or creates it.
    ///
    /// # Errors
    /// The file can't be opened, another run writes to it, or its content must not be replaced or
    /// can't be appended to.
    pub(crate) fn open(
        check: &Check,
        path: &Path,
        content: ClosingContent,
        reads: &ReadFiles,
    ) -> Result<Self, OpenError> {
        let name = match content {
            ClosingContent::Summary => format!("the summary {}", path.display()),
            ClosingContent::Junit => format!("the JUnit file {}", path.display()),
        };
        let content = Content::Closing(content);
        let request = OpenRequest { path, content, check, reads, others: &[] };
        let opened = request.open().with_context(|| format!("opening {name}"));
        let file = opened.map_err(OpenError::inspecting)?;
        let (created, expected) = (file.created_file(content), file.expected(content));
        Ok(Self { name, state: State::Open(file), created, expected })
    }

    /// Empties the file, unless it is appended to: what it contains is not of this run.
    ///
    /// # Errors
    /// The file can't be emptied.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        self.state = match mem::replace(&mut self.state, State::Done) {
            State::Open(file) => State::Begun(file.begin()?),
            begun => begun,
        };
        Ok(())
    }

    /// Writes lines at the end of the file, and returns when they are on the disk.
    ///
    /// # Errors
    /// The file can't be written, or another program has changed or replaced it.
    pub(crate) fn write(mut self, lines: &[u8]) -> anyhow::Result<()> {
        self.begin()?;
        // Another program may have used the file of this run, so it stays even if writing fails.
        self.created = None;
        let written = match mem::replace(&mut self.state, State::Done) {
            State::Begun(RowTarget::Stream(mut file)) => file.write_all(lines).map_err(Into::into),
            State::Begun(RowTarget::File(file)) => self.write_file(file, lines),
            State::Open(_) | State::Done => Ok(()),
        };
        written.with_context(|| format!("writing {}", self.name))
    }

    fn write_file(&self, mut file: OutputFile, lines: &[u8]) -> anyhow::Result<()> {
        file.write_all(lines)?;
        file.sync()?;
        self.expected.as_ref().map_or(Ok(()), ExpectedFile::check)
    }
}

impl Drop for ClosingFile {
    fn drop(&mut self) {
        if let Some(created) = self.created.take().filter(CreatedFile::is_empty) {
            created.remove();
        }
    }
}
