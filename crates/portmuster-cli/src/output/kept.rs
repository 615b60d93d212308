//! Outputs as a journal keeps them: synced while rows go on, and opened again by a later process.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use portmuster::sink::{Csv, Jsonl, Mark, Paint, Place, Sink, Sqlite, Table, Xml};

use super::{OpenFile, Opened, Outputs, Prepared, WholeLines, name};
use crate::{
    args::{Check, Format, OutputSpec},
    journal::Kept,
};

/// An output file, as it is synced and named in a journal.
#[derive(Debug)]
pub(crate) struct KeptFile {
    format: &'static str,
    path: String,
    inode: u64,
    /// `None`: a database, which syncs itself.
    // Another descriptor of its file, once closed, would take the locks away that SQLite has on it.
    file: Option<File>,
}

impl KeptFile {
    fn new(spec: &OutputSpec, open: &OpenFile) -> anyhow::Result<Self> {
        let path = fs::canonicalize(&open.path)?;
        // Of a new file it is the folder that has its name.
        if let Some(folder) = path.parent() {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.with_context(|| format!("syncing {}", folder.display()))?;
        }
        let path = path.display().to_string();
        let is_database = matches!(spec, OutputSpec::Database(_));
        let again =
            || open.file.try_clone().with_context(|| format!("opening {path} a second time"));
        let file = if is_database { None } else { Some(again()?) };
        Ok(Self { format: spec.name(), path, inode: open.metadata.ino(), file })
    }

    /// Returns when what was written outlasts a power cut.
    ///
    /// # Errors
    /// The system can't promise it.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        file.sync_data().with_context(|| format!("syncing {}", self.path))
    }

    /// As it stands in a journal.
    pub(crate) fn at(&self, mark: Mark) -> Kept {
        Kept { format: self.format.to_owned(), path: self.path.clone(), inode: self.inode, mark }
    }
}

impl Outputs {
    /// Opens the outputs of a run that goes on, and cuts them back to where they stood. Nothing is
    /// changed unless that can be done with all.
    ///
    /// # Errors
    /// One is not there, is another file, or has less than it had.
    pub(crate) fn go_on(check: &Check, kept: &[Kept]) -> anyhow::Result<Self> {
        Self::begin(check, reopen_all(check, kept)?)
    }

    /// Sees that the outputs of a run that is complete are what it has written.
    ///
    /// # Errors
    /// As for [`Self::go_on`].
    pub(crate) fn inspect(check: &Check, kept: &[Kept]) -> anyhow::Result<()> {
        reopen_all(check, kept).map(drop)
    }

    /// The files, in the order of their [marks](Self::marks), once.
    pub(crate) fn take_kept(&mut self) -> Vec<KeptFile> {
        self.all.iter_mut().filter_map(|output| output.kept.take()).collect()
    }
}

/// What a journal is to know of each output; nothing of stdout, and where none is kept.
///
/// # Errors
/// The system has no more descriptors.
pub(super) fn files(check: &Check, opened: &[Opened]) -> anyhow::Result<Vec<Option<KeptFile>>> {
    let is_wanted = check.journaling.journal.is_some();
    let kept = |(spec, opened): (&OutputSpec, &Opened)| {
        let file = opened.file().filter(|_| is_wanted);
        file.map(|file| KeptFile::new(spec, file)).transpose()
    };
    check.outputs.iter().zip(opened).map(kept).collect()
}

/// Refuses what a journal could not cut back.
pub(super) fn can_be(file: OpenFile, check: &Check) -> anyhow::Result<OpenFile> {
    if check.journaling.journal.is_some() && !file.metadata.is_file() {
        bail!("it can't be cut back, so with --journal it can't be an output; choose a file");
    }
    Ok(file)
}

fn reopen_all(check: &Check, kept: &[Kept]) -> anyhow::Result<Vec<Opened>> {
    let mut opened = Vec::new();
    for (spec, kept) in check.outputs.iter().zip(kept) {
        let path = spec.file().context("rows on stdout can't be taken back")?;
        let reopened = reopen(spec, path, kept);
        opened.push(reopened.with_context(|| format!("opening the output {}", name(path)))?);
    }
    Ok(opened)
}

/// Opens an output of a run that goes on, and changes nothing yet.
fn reopen(spec: &OutputSpec, path: &Path, kept: &Kept) -> anyhow::Result<Opened> {
    // A pipe would wait for somebody at its other end.
    if !path.metadata()?.is_file() {
        bail!("it is no regular file any more");
    }
    let file = OpenFile::reopen(path)?;
    if file.metadata.ino() != kept.inode {
        bail!("it is another file than the run has written; put that one back in its place");
    }
    let found = file.metadata.len();
    match kept.mark {
        Mark::Lines { length } | Mark::Xml { length, .. } if found < length => {
            bail!("it has {found} bytes of the {length} that the run has written")
        }
        Mark::Run { .. } => Sqlite::inspect(path)?,
        _ => {}
    }
    Ok(Opened::Kept(spec.clone(), file, kept.mark))
}

/// Prepares the run of a database to go on from where it stood.
pub(super) fn prepare_run(file: OpenFile, mark: Mark) -> anyhow::Result<Prepared<'static>> {
    let name = name(&file.path);
    let prepared = match mark {
        Mark::Run { run, last, .. } => file.prepare_to_go_on(run, last),
        _ => Err(anyhow!("the journal does not say where")),
    };
    prepared.with_context(|| going_on(&name))
}

/// Lets the sink of a file go on from where it stood.
pub(super) fn go_on(format: Format, file: OpenFile, mark: Mark) -> anyhow::Result<Box<dyn Sink>> {
    let name = name(&file.path);
    let gone_on = || -> anyhow::Result<Box<dyn Sink>> {
        let (Mark::Lines { length } | Mark::Xml { length, .. }) = mark else {
            bail!("the journal does not say where")
        };
        let mut place = WholeLines::new(file.at_end()?);
        // Cut off, a document would be none until it has its end again.
        if format != Format::Xml {
            place.cut(length)?;
        }
        Ok(match format {
            Format::Table => Box::new(Table::go_on(place, Paint::Plain)),
            Format::Jsonl => Box::new(Jsonl::new(place)),
            Format::Csv => Box::new(Csv::go_on(place)),
            Format::Xml => Box::new(Xml::go_on(place, mark)?),
        })
    };
    gone_on().with_context(|| going_on(&name))
}

fn going_on(name: &str) -> String {
    format!("going on with the output {name}")
}
