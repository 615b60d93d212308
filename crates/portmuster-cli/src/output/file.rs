//! Files that rows go to: opened and locked so that nothing is lost.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use portmuster::{
    history::{RunChoice, StoredRunError, read_run},
    sink::{Beginning, Csv, PreparedRun, Sink, Sqlite},
};

use super::{
    Prepared,
    lock::{is_open_database, lock, refuse_written},
    name,
    names::{Identity, ReadFiles, followed, identity, identity_at},
    rowless::refuse_rows,
    trace,
    whole::{Changed, End, Extent, WholeWrites},
};
use crate::args::{Check, Format, OutputSpec};

/// How often a file that others make and remove is looked for again.
const TRIES: usize = 16;

/// An output file that is open, and as it was found. No other run writes to it.
pub(super) struct OpenFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) metadata: Metadata,
    /// Whether this run has made it.
    is_new: bool,
    /// Rows are added to those that are there.
    has_rows: bool,
    /// How it is written, where it is a file of rows.
    extent: Extent,
}

/// What the file of an output is to be.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    path: &'a Path,
    spec: &'a OutputSpec,
    check: &'a Check,
    reads: &'a ReadFiles,
    others: &'a [Identity],
}

impl Wanted<'_> {
    /// Whether rows are appended wherever the file ends. A document is rewritten in its midst, and
    /// nothing can be added to one that is there.
    fn appends(&self) -> bool {
        let is_xml = matches!(self.spec, OutputSpec::Rows { format: Format::Xml, .. });
        self.check.existing.append && !self.spec.is_database() && !is_xml
    }

    fn is_journaled(&self) -> bool {
        self.check.journaling.journal.is_some()
    }

    /// Opens it; `None`: another program has made, removed or replaced it meanwhile.
    fn open(&self) -> anyhow::Result<Option<OpenFile>> {
        match self.path.metadata() {
            Ok(found) if found.is_file() => self.open_existing(&found),
            Ok(_) => self.open_stream().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create(),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a device or a pipe, which has nothing that could be overwritten.
    fn open_stream(&self) -> anyhow::Result<OpenFile> {
        if self.spec.is_database() {
            bail!("it is not a file, and a database has to be in one");
        }
        // Before it is opened: a pipe waits for somebody at its other end.
        if self.is_journaled() {
            bail!("it can't be cut back, so with --journal it can't be an output; choose a file");
        }
        let file = OpenOptions::new().write(true).open(self.path)?;
        let extent = Extent { end: End::default(), is_shared: true };
        OpenFile::of(self.path, file, extent)
    }

    fn open_existing(&self, found: &Metadata) -> anyhow::Result<Option<OpenFile>> {
        self.refuse_shared(found)?;
        let (appends, is_database) = (self.appends(), self.spec.is_database());
        let mut options = OpenOptions::new();
        options.write(true).append(appends).read(appends || is_database || self.is_journaled());
        let file = match options.open(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let extent = Extent { end: End::default(), is_shared: appends };
        let mut open = OpenFile::of(self.path, file, extent)?;
        if !open.metadata.is_file() {
            return Ok(None);
        }
        self.refuse_shared(&open.metadata)?;
        let (existing, resume) = (self.check.existing, self.check.journaling.resume);
        // Runs accumulate in a database, whatever is said.
        let may_exist = existing.append || existing.force || is_database;
        if !may_exist && !resume {
            // One that is empty may have been made just now by a run that has yet to lock it.
            if open.metadata.len() > 0 {
                refuse_written(&open.file)?;
            }
            return Err(existing_file());
        }
        if is_database {
            refuse_written(&open.file)?;
            Sqlite::inspect(self.path)?;
        } else {
            lock(&open.file)?;
        }
        if !open.is_at_its_path() {
            return Ok(None);
        }
        // From here on no other run changes it.
        open.metadata = open.file.metadata()?;
        if !may_exist {
            refuse_rows(&open.file, self.spec)?;
        }
        // What a run has begun and nothing more is begun again when that run is.
        let has_begun_only = resume && refuse_rows(&open.file, self.spec).is_ok();
        open.has_rows =
            existing.append && !is_database && open.metadata.len() > 0 && !has_begun_only;
        if open.has_rows {
            can_go_on(&mut open.file, self.spec)?;
            self.refuse_untraceable(&open.file)?;
        }
        Ok(Some(open))
    }

    fn create(&self) -> anyhow::Result<Option<OpenFile>> {
        let path = followed(self.path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).append(self.appends()).create_new(true);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            opened => opened?,
        };
        let extent = Extent { end: End::default(), is_shared: self.appends() };
        let open = OpenFile { is_new: true, ..OpenFile::of(self.path, file, extent)? };
        if self.spec.is_database() {
            return Ok(Some(open));
        }
        if let Err(error) = lock(&open.file) {
            // Another run may have found it while it was empty, and use it. This lock keeps rows out.
            let is_unused = refuse_written(&open.file).is_ok()
                && !is_open_database(&open.file).unwrap_or(true)
                && open.file.metadata().is_ok_and(|found| found.len() == 0);
            if is_unused {
                let _ = fs::remove_file(&path);
            }
            return Err(error);
        }
        Ok(open.is_at_its_path().then_some(open))
    }

    /// Refuses what is another output, or is read.
    fn refuse_shared(&self, found: &Metadata) -> anyhow::Result<()> {
        if self.others.contains(&identity(found)) {
            bail!("another output goes to the same file; give each its own");
        }
        self.reads.refuse(identity(found))
    }

    /// Two runs that can be resumed would cut off each other's rows where neither leaves a trace.
    fn refuse_untraceable(&self, file: &File) -> anyhow::Result<()> {
        if self.is_journaled() && trace::Trace::of(file) == trace::Trace::Unsupported {
            bail!(
                "its file system keeps no extended attributes, by which a run that is resumed tells its \
                 rows from those of others; with --journal choose a new file"
            );
        }
        Ok(())
    }
}

impl OpenFile {
    /// Opens and locks it, and changes nothing yet. `others` are the files of other outputs.
    ///
    /// # Errors
    /// It can't be opened, another run writes to it, or it has what was not to be overwritten or can't
    /// be added to.
    pub(super) fn open(
        path: &Path,
        spec: &OutputSpec,
        check: &Check,
        reads: &ReadFiles,
        others: &[Identity],
    ) -> anyhow::Result<Self> {
        let wanted = Wanted { path, spec, check, reads, others };
        for _ in 0..TRIES {
            if let Some(open) = wanted.open()? {
                return Ok(open);
            }
        }
        bail!("another program makes and removes it again and again; choose another file")
    }

    /// Opens and locks a file that an earlier process has written to, and changes nothing yet.
    ///
    /// # Errors
    /// It can't be opened, or another run writes to it.
    pub(super) fn reopen(
        path: &Path,
        spec: &OutputSpec,
        check: &Check,
        reads: &ReadFiles,
    ) -> anyhow::Result<Self> {
        // A pipe would wait for somebody at its other end.
        if !path.metadata()?.is_file() {
            bail!("it is no regular file any more");
        }
        let is_shared = Wanted { path, spec, check, reads, others: &[] }.appends();
        let file = OpenOptions::new().read(true).write(true).append(is_shared).open(path)?;
        let mut open = Self::of(path, file, Extent { end: End::default(), is_shared })?;
        reads.refuse(open.identity())?;
        if spec.is_database() {
            refuse_written(&open.file)?;
        } else {
            lock(&open.file)?;
        }
        if !open.is_at_its_path() {
            bail!("another program has replaced it just now");
        }
        open.metadata = open.file.metadata()?;
        open.has_rows = true;
        Ok(open)
    }

    fn of(path: &Path, file: File, extent: Extent) -> anyhow::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { path: path.to_owned(), file, metadata, is_new: false, has_rows: false, extent })
    }

    fn is_at_its_path(&self) -> bool {
        identity_at(&self.path) == Some(self.identity())
    }

    /// Makes it ready for more behind all that it has.
    ///
    /// # Errors
    /// It has no end.
    pub(super) fn at_end(self) -> io::Result<WholeWrites> {
        WholeWrites::at_end(self.file, self.extent)
    }

    /// Whether rows are added to those that are there.
    pub(super) fn has_rows(&self) -> bool {
        self.has_rows
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, if this run has made it. It keeps the lock that this one has.
    pub(super) fn made(&self, spec: &OutputSpec) -> Option<Made> {
        let path = self.is_new.then(|| followed(&self.path).ok()).flatten()?;
        // Another descriptor of its file, once closed, would take the locks away that SQLite has.
        let held = if spec.is_database() { None } else { self.file.try_clone().ok() };
        Some(Made { path, identity: self.identity(), held })
    }

    /// What is to be there when the run has ended; `None`: it is a device or a pipe.
    pub(super) fn expected(&self, spec: &OutputSpec) -> Option<Expected> {
        let extent = if spec.is_database() { None } else { Some(self.extent.clone()) };
        let expected = Expected { path: self.path.clone(), identity: self.identity(), extent };
        self.metadata.is_file().then_some(expected)
    }

    /// Which file it is.
    pub(super) fn identity(&self) -> Identity {
        identity(&self.metadata)
    }

    /// Makes it ready for rows: what is to be overwritten goes.
    ///
    /// # Errors
    /// It can't be emptied.
    pub(super) fn begin(self) -> anyhow::Result<WholeWrites> {
        let Self { path, file, metadata, has_rows, extent, .. } = self;
        if !metadata.is_file() {
            return Ok(WholeWrites::to_stream(file));
        }
        // A run that has left its trace and goes on some day sees that it is not alone any more.
        trace::remove(&file);
        if !has_rows {
            empty(&file).with_context(|| format!("emptying the output {}", name(&path)))?;
        }
        Ok(WholeWrites::at_end(file, extent)?)
    }

    /// Prepares a run in the database that it is, or becomes.
    ///
    /// # Errors
    /// It can't be written, or another program keeps it locked.
    pub(super) fn prepare_run(self, beginning: &Beginning) -> anyhow::Result<Prepared<'static>> {
        let path = self.closed();
        PreparedRun::begin(&path, beginning)
            .map(|run| committing(run, path.clone()))
            .with_context(|| format!("opening the output {}", name(&path)))
    }

    /// Prepares a run in the database that it is to go on; outcomes that came later are to be
    /// deleted.
    ///
    /// # Errors
    /// The run is not in it, or without outcomes that it had; or another program keeps it locked.
    pub(super) fn prepare_to_go_on(
        self,
        run: i64,
        last: i64,
        fingerprint: u64,
    ) -> anyhow::Result<Prepared<'static>> {
        let path = self.closed();
        let prepared = PreparedRun::resume(&path, run, last)?;
        if prepared.fingerprint()? != fingerprint {
            bail!(
                "its run {run} is not the one that the journal names: another database was put in its \
                 place, or its rows were changed; put that one back, or begin anew without --resume"
            );
        }
        Ok(committing(prepared, path))
    }

    /// The path of a database, whose file is closed.
    fn closed(self) -> PathBuf {
        // Closing it later would take the locks away that SQLite has on it.
        self.path
    }
}

/// The error of a file that is not to be overwritten.
fn existing_file() -> anyhow::Error {
    anyhow!("it exists; --append adds to it, --force replaces it")
}

/// Empties a file that is not.
///
/// One that is stays untouched: ext4 takes any truncation for a replacement, and waits for the disk
/// when such a file is closed (`auto_da_alloc`, ext4(5)): 40 ms after 40 MB.
fn empty(file: &File) -> io::Result<()> {
    if file.metadata()?.len() > 0 { file.set_len(0) } else { Ok(()) }
}

fn committing(run: PreparedRun, path: PathBuf) -> Prepared<'static> {
    Box::new(move || {
        let committed = run.commit().with_context(|| format!("writing {}", name(&path)))?;
        let sink: Box<dyn Sink> = Box::new(committed);
        Ok(sink)
    })
}

/// A file that this run has made.
pub(super) struct Made {
    path: PathBuf,
    identity: Identity,
    /// Keeps the lock; `None`: a database, which has others.
    held: Option<File>,
}

impl Made {
    /// Removes it again, unless it is another's by now.
    pub(super) fn remove(self) {
        let is_ours = self.path.symlink_metadata().is_ok_and(|it| identity(&it) == self.identity);
        let is_unused = || {
            let file = File::open(&self.path);
            let has_no_run = || {
                let run = read_run(&self.path, RunChoice::BeforeLast(0));
                matches!(run, Err(StoredRunError::TooFew { .. }))
            };
            file.is_ok_and(|file| !is_open_database(&file).unwrap_or(true)) && has_no_run()
        };
        if is_ours && (self.held.is_some() || is_unused()) {
            // Left behind, it would be in the way of the next run and nothing else.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// An output as it must be when the run has ended.
#[derive(Debug)]
pub(super) struct Expected {
    path: PathBuf,
    identity: Identity,
    /// `None`: a database, which knows itself what it has.
    extent: Option<Extent>,
}

impl Expected {
    /// # Errors
    /// It is not at its path any more, or has not what was written to it.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let found = self.path.metadata().ok().filter(|found| identity(found) == self.identity);
        let found = found.ok_or_else(|| {
            anyhow!(
                "another program has removed, moved or replaced it while the run wrote to it, so its \
                 rows are not there"
            )
        })?;
        let extent = self.extent.as_ref();
        extent.map_or(Ok(()), |extent| extent.check(found.len())).map_err(Changed::into)
    }
}

/// Whether rows of this output can be added to what the file has.
fn can_go_on(file: &mut File, spec: &OutputSpec) -> anyhow::Result<()> {
    let format = match spec {
        OutputSpec::Rows { format, .. } => *format,
        OutputSpec::Database(_) => return Ok(()),
    };
    if format == Format::Xml {
        bail!("nothing can be added to a document that has ended; choose another file, or --force");
    }
    let length = file.metadata()?.len();
    if !ends_a_line(file, length)? {
        bail!("it ends in the middle of a line; end that line, or choose another file");
    }
    if format == Format::Csv && !begins_with(file, &Csv::<File>::header())? {
        bail!("its columns are not those of this version; choose another file");
    }
    Ok(())
}

fn begins_with(mut file: &File, header: &str) -> io::Result<bool> {
    let mut beginning = vec![0; header.len()];
    file.seek(SeekFrom::Start(0))?;
    match file.read_exact(&mut beginning) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| beginning == header.as_bytes()),
    }
}

fn ends_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}
