//! Opens and locks the file of an output without changing it.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    path::Path,
};

use anyhow::bail;

use super::{
    beside::refuse_fixed_folder,
    content::Content,
    file::OpenFile,
    lock::{is_open_database, lock, refuse_locked},
    run_tag::RunTag,
};
use crate::{
    args::Check,
    file_identity::{Identity, follow_links, identity},
    read_files::ReadFiles,
};

/// How often a file is looked up again that other programs create and remove.
const TRIES: usize = 16;

/// A request to open the file of an output.
#[derive(Clone, Copy)]
pub(super) struct OpenRequest<'a> {
    pub(super) path: &'a Path,
    pub(super) content: Content,
    pub(super) check: &'a Check,
    /// The files that the run reads.
    pub(super) reads: &'a ReadFiles,
    /// The files of the other outputs.
    pub(super) others: &'a [Identity],
}

impl OpenRequest<'_> {
    /// Opens and locks the file without changing it, or creates it.
    ///
    /// # Errors
    /// The file can't be opened, another run writes to it, or its content must not be overwritten
    /// or can't be appended to.
    pub(super) fn open(&self) -> anyhow::Result<OpenFile> {
        for _ in 0..TRIES {
            if let Some(open) = self.try_open()? {
                return Ok(open);
            }
        }
        bail!("another program keeps creating and removing it: choose another file")
    }

    /// Opens and locks the file that an earlier process of this run wrote, without changing it.
    ///
    /// # Errors
    /// The file can't be opened, or another run writes to it.
    pub(super) fn reopen(&self) -> anyhow::Result<OpenFile> {
        // Opening a pipe would wait for a process at its other end.
        if !self.path.metadata()?.is_file() {
            bail!("it is no longer a regular file");
        }
        let appends = self.appends();
        let file = OpenOptions::new().read(true).write(true).append(appends).open(self.path)?;
        let mut open = OpenFile::new(self.path, file, appends)?;
        self.reads.refuse(open.identity())?;
        if self.content.is_database() {
            refuse_locked(open.file())?;
        } else {
            lock(open.file())?;
        }
        if !open.is_at_its_path() {
            bail!("another program has just replaced it");
        }
        open.refresh()?;
        open.keep_rows();
        Ok(open)
    }

    /// Returns whether each write goes to the current end of the file, wherever that is.
    fn appends(&self) -> bool {
        self.check.existing.append && self.content.can_append()
    }

    /// Returns whether a resumed run truncates the file. What is written at the end is written again.
    fn has_journal(&self) -> bool {
        self.check.journal.journal.is_some() && self.content.is_rows()
    }

    /// Returns whether the content of the file decides what becomes of it.
    fn is_read(&self) -> bool {
        let is_resumable = self.check.journal.journal.is_some();
        self.appends() || self.content.is_database() || self.content.is_replaced() || is_resumable
    }

    /// Opens the file; `None`: another program has just created, removed or replaced it.
    fn try_open(&self) -> anyhow::Result<Option<OpenFile>> {
        match self.path.metadata() {
            Ok(found) if found.is_file() => {
                self.refuse_fixed_folder()?;
                self.open_existing(&found)
            }
            Ok(_) => self.open_stream().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create(),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a device or a pipe, which has no content to overwrite.
    fn open_stream(&self) -> anyhow::Result<OpenFile> {
        if self.content.is_database() {
            bail!("it is not a file, and a database must be one");
        }
        // Refused before it is opened, because a pipe waits for a process at its other end.
        if self.has_journal() {
            bail!("it can't be truncated, so it can't be an output with --journal: choose a file");
        }
        let file = OpenOptions::new().write(true).open(self.path)?;
        Ok(OpenFile::new(self.path, file, true)?)
    }

    fn open_existing(&self, found: &Metadata) -> anyhow::Result<Option<OpenFile>> {
        self.refuse_shared(found)?;
        let appends = self.appends();
        let mut options = OpenOptions::new();
        options.write(true).append(appends).read(self.is_read());
        let file = match options.open(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut open = OpenFile::new(self.path, file, appends)?;
        if !open.metadata().is_file() {
            return Ok(None);
        }
        self.refuse_shared(open.metadata())?;
        self.lock_existing(&open)?;
        if !open.is_at_its_path() {
            return Ok(None);
        }
        // From here on no other run changes the file.
        open.refresh()?;
        self.check_content(&mut open)?;
        Ok(Some(open))
    }

    /// Returns whether the content of an existing file may be overwritten or appended to.
    fn may_exist(&self) -> bool {
        // A database collects runs, whatever the options are.
        let existing = self.check.existing;
        let is_appended = existing.append && !self.content.is_metrics();
        is_appended || existing.force || self.content.is_database()
    }

    /// Locks an existing file, or refuses it.
    fn lock_existing(&self, open: &OpenFile) -> anyhow::Result<()> {
        let may_be_replaced = self.check.journal.resume || self.content.is_metrics();
        if !self.may_exist() && !may_be_replaced {
            // An empty file may be that of a run that has just created it and not locked it yet.
            if open.metadata().len() > 0 {
                refuse_locked(open.file())?;
            }
            bail!("it exists: --append appends to it, --force overwrites it");
        }
        match self.content {
            Content::Rows(_) | Content::Closing(_) | Content::Metrics => lock(open.file()),
            Content::Database(database) => {
                refuse_locked(open.file())?;
                Ok((database.inspect)(self.path)?)
            }
        }
    }

    /// Decides whether what an existing file contains is kept, and refuses content that must stay.
    fn check_content(&self, open: &mut OpenFile) -> anyhow::Result<()> {
        let content = self.content;
        if content.is_database() {
            // It keeps its runs.
            return Ok(());
        }
        if !self.may_exist() {
            content.refuse_unreplaceable(open.file())?;
        }
        // A run that was killed before its first row starts again when it is resumed.
        let is_rowless = self.check.journal.resume
            && content.is_rows()
            && content.refuse_unreplaceable(open.file()).is_ok();
        let appends = self.check.existing.append && !content.is_metrics();
        if appends && open.metadata().len() > 0 && !is_rowless {
            open.keep_rows();
            content.check_appendable(open.file())?;
            self.refuse_untaggable(open.file())?;
        }
        Ok(())
    }

    fn create(&self) -> anyhow::Result<Option<OpenFile>> {
        let path = follow_links(self.path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).append(self.appends()).create_new(true);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            opened => opened?,
        };
        let open = OpenFile::created(self.path, file, self.appends())?;
        if self.content.is_database() {
            return Ok(Some(open));
        }
        if let Err(error) = lock(open.file()) {
            // Another run may have found the empty file and use it. The shared lock that
            // `refuse_locked` takes keeps others from writing rows meanwhile.
            let file = open.file();
            let is_unused = refuse_locked(file).is_ok()
                && !is_open_database(file).unwrap_or(true)
                && file.metadata().is_ok_and(|found| found.len() == 0);
            if is_unused {
                let _ = fs::remove_file(&path);
            }
            return Err(error);
        }
        Ok(open.is_at_its_path().then_some(open))
    }

    fn refuse_fixed_folder(&self) -> anyhow::Result<()> {
        if self.content.is_replaced() { refuse_fixed_folder(self.path) } else { Ok(()) }
    }

    /// Refuses a file that is another output or that the run reads.
    fn refuse_shared(&self, found: &Metadata) -> anyhow::Result<()> {
        if self.others.contains(&identity(found)) {
            bail!("another output goes to the same file: give each output its own file");
        }
        self.reads.refuse(identity(found))
    }

    /// Refuses to append with `--journal` to a file that can't carry a run tag.
    ///
    /// Without the tag, two resumable runs would truncate each other's rows.
    fn refuse_untaggable(&self, file: &File) -> anyhow::Result<()> {
        if self.has_journal() && RunTag::read(file) == RunTag::Unsupported {
            bail!(
                "its file system has no extended attributes, which a resumed run needs to tell its rows \
                 from those of other runs: choose a new file for --journal"
            );
        }
        Ok(())
    }
}
