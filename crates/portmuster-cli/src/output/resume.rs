//! Outputs as a journal keeps them: synced while rows go on, and opened again by a later process.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use portmuster::sink::{
    Csv, Jsonl, Paint, ResumePoint, SCHEMA, SeekableOutput, Sink, Sqlite, Table, Xml,
};

use super::{
    OpenFile, Opened, Outputs, Prepared, ReadFiles, Unopened, WholeLines, name,
    trace::{self, Trace},
};
use crate::{
    args::{Check, Format, OutputSpec},
    journal::{Journal, Kept, checksum},
};

/// Bytes before a mark of which a journal has the checksum.
const CHECKED: u64 = 64 * 1024;

/// An output file, as it is synced and named in a journal.
#[derive(Debug)]
pub(crate) struct KeptFile {
    format: &'static str,
    path: String,
    inode: u64,
    /// `None`: a database, which syncs itself.
    // Another descriptor of its file, once closed, would take the locks away that SQLite has on it.
    file: Option<File>,
    /// Whether it says that it belongs to this run.
    has_trace: bool,
}

impl KeptFile {
    fn new(spec: &OutputSpec, open: &OpenFile) -> Result<Self, Unopened> {
        let path = fs::canonicalize(&open.path).map_err(anyhow::Error::new)?;
        // Of a new file it is the folder that has its name.
        if let Some(folder) = path.parent() {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            let synced = synced.with_context(|| format!("syncing {}", folder.display()));
            synced.map_err(Unopened::Failed)?;
        }
        let path = path.display().to_string();
        let is_database = matches!(spec, OutputSpec::Database(_));
        let again =
            || open.file.try_clone().with_context(|| format!("opening {path} a second time"));
        let file = if is_database { None } else { Some(again()?) };
        let inode = open.metadata.ino();
        Ok(Self { format: spec.name(), path, inode, file, has_trace: false })
    }

    /// Lets the file say that it belongs to this run, until that is complete.
    pub(crate) fn leave_trace(&mut self, run: &str) {
        self.has_trace = self.file.as_ref().is_some_and(|file| trace::leave(file, run));
    }

    /// Takes that back.
    pub(crate) fn remove_trace(&self) {
        if let Some(file) = self.file.as_ref().filter(|_| self.has_trace) {
            trace::remove(file);
        }
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
    ///
    /// # Errors
    /// It can't be read, or does not stand where it should.
    pub(crate) fn at(&self, mark: ResumePoint) -> anyhow::Result<Kept> {
        let before = match &self.file {
            Some(file) => {
                Some(before(file, mark).with_context(|| format!("reading {}", self.path))?)
            }
            None => None,
        };
        Ok(Kept {
            format: self.format.to_owned(),
            path: self.path.clone(),
            inode: self.inode,
            mark,
            before,
            has_trace: self.has_trace,
        })
    }
}

impl Outputs {
    /// Opens the outputs of a run that goes on, and cuts them back to where they stood. Nothing is
    /// changed unless that can be done with all.
    ///
    /// # Errors
    /// One is not there, is another file, was changed, or another run has written to it.
    pub(crate) fn resume(check: &Check, journal: &Journal) -> Result<Self, Unopened> {
        Self::begin(check, reopen_all(check, journal)?)
    }

    /// Sees that the outputs of a run that is complete are what it has written.
    ///
    /// # Errors
    /// As for [`Self::resume`], but others may have added to them.
    pub(crate) fn inspect(check: &Check, journal: &Journal) -> anyhow::Result<()> {
        reopen_all(check, journal).map(drop)
    }

    /// The files, in the order of their [marks](Self::marks), once.
    pub(crate) fn take_kept(&mut self) -> Vec<KeptFile> {
        self.all.iter_mut().filter_map(|output| output.kept.take()).collect()
    }
}

/// What a journal is to know of each output; nothing of stdout, and where none is kept.
///
/// # Errors
/// A folder can't be synced, or the system has no more descriptors.
pub(super) fn files(check: &Check, opened: &[Opened]) -> Result<Vec<Option<KeptFile>>, Unopened> {
    let is_wanted = check.journaling.journal.is_some();
    let kept = |(spec, opened): (&OutputSpec, &Opened)| {
        let file = opened.file().filter(|_| is_wanted);
        file.map(|file| KeptFile::new(spec, file)).transpose()
    };
    check.outputs.iter().zip(opened).map(kept).collect()
}

fn reopen_all(check: &Check, journal: &Journal) -> anyhow::Result<Vec<Opened>> {
    let reads = ReadFiles::of(check);
    let mut opened = Vec::new();
    for (spec, kept) in check.outputs.iter().zip(&journal.outputs) {
        let path = spec.file().context("rows on stdout can't be taken back")?;
        let reopened = reopen(check, &reads, spec, path, kept).and_then(|file| {
            if !journal.complete {
                refuse_foreign(&file, spec, kept, &journal.run)?;
            }
            Ok(Opened::Kept(spec.clone(), file, kept.mark))
        });
        opened.push(reopened.with_context(|| format!("opening the output {}", name(path)))?);
    }
    Ok(opened)
}

/// Opens an output of a run that goes on, and changes nothing yet.
fn reopen(
    check: &Check,
    reads: &ReadFiles,
    spec: &OutputSpec,
    path: &Path,
    kept: &Kept,
) -> anyhow::Result<OpenFile> {
    let file = OpenFile::reopen(path, spec, check, reads)?;
    if file.metadata.ino() != kept.inode {
        bail!("it is another file than the run has written; put that one back in its place");
    }
    let found = file.metadata.len();
    match kept.mark {
        ResumePoint::Lines { length } | ResumePoint::Xml { length, .. } => {
            if found < length {
                bail!("it has {found} bytes of the {length} that the run has written");
            }
            if before(&file.file, kept.mark).ok() != kept.before {
                bail!(
                    "what stands in its first {length} bytes is not what the run has written: it was \
                     changed, or another file was put in its place; put the one back that the run has \
                     written, or begin anew with another file and another journal"
                );
            }
        }
        ResumePoint::Run { .. } => Sqlite::inspect(path)?,
        _ => bail!("the journal does not say where it stood"),
    }
    Ok(file)
}

/// The checksum of what stands before a mark in a file.
///
/// # Errors
/// It can't be read, or no line ends there.
fn before(file: &File, mark: ResumePoint) -> io::Result<String> {
    let (ResumePoint::Lines { length } | ResumePoint::Xml { length, .. }) = mark else {
        return Err(io::Error::other("the mark is not one of a file"));
    };
    let mut bytes = vec![0; usize::try_from(length.min(CHECKED)).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, length.saturating_sub(CHECKED))?;
    let ends_line = bytes.last().is_none_or(|&last| last == b'\n');
    if matches!(mark, ResumePoint::Lines { .. }) && !ends_line {
        return Err(io::Error::other(format!(
            "no line ends behind its first {length} bytes, so another program has changed it"
        )));
    }
    Ok(checksum(&bytes))
}

/// Refuses to cut off what others have written behind the rows of the run.
fn refuse_foreign(
    file: &OpenFile,
    spec: &OutputSpec,
    kept: &Kept,
    run: &str,
) -> anyhow::Result<()> {
    let OutputSpec::Rows { format, .. } = spec else { return Ok(()) };
    let trace = if kept.has_trace { Trace::of(&file.file) } else { Trace::Run(run.into()) };
    match trace {
        Trace::Run(found) if found == run.as_bytes() => {}
        Trace::Run(_) => bail!(
            "another run has written to it since this one was cut off, and going on would take its rows \
             away; begin anew with another file and another journal"
        ),
        Trace::None | Trace::Unsupported => bail!(
            "another run has written to it since this one was cut off, or it is a new file in the place \
             of the one that was written; put that one back, or begin anew with another file and another \
             journal"
        ),
    }
    let ResumePoint::Lines { length } = kept.mark else { return Ok(()) };
    let foreign = match format {
        Format::Jsonl => foreign_line(&file.file, length, &format!("{{\"schema\":{SCHEMA},"))?,
        Format::Csv => foreign_line(&file.file, length, &format!("{SCHEMA},"))?,
        Format::Table | Format::Xml => None,
    };
    if let Some(at) = foreign {
        bail!(
            "behind its first {at} bytes stands what is no row, and going on would take it away; move \
             that to another file first"
        );
    }
    Ok(())
}

/// Where the first line from there on stands that does not begin as rows do. The last line may be cut
/// off, and where the power failed there may be zeros.
fn foreign_line(mut file: &File, from: u64, prefix: &str) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let mut at = from;
    loop {
        let mut head = Vec::new();
        reader.by_ref().take(prefix.len() as u64).read_until(b'\n', &mut head)?;
        if head.is_empty() {
            return Ok(None);
        }
        let is_row = prefix.as_bytes().starts_with(&head);
        if !is_row && !head.contains(&0) {
            return Ok(Some(at));
        }
        at += head.len() as u64;
        if head.last() != Some(&b'\n') {
            at += reader.skip_until(b'\n')? as u64;
        }
    }
}

/// Prepares the run of a database to go on from where it stood.
pub(super) fn prepare_run(file: OpenFile, mark: ResumePoint) -> anyhow::Result<Prepared<'static>> {
    let name = name(&file.path);
    let prepared = match mark {
        ResumePoint::Run { run, last, fingerprint } => {
            file.prepare_to_go_on(run, last, fingerprint)
        }
        _ => Err(anyhow!("the journal does not say where")),
    };
    prepared.with_context(|| going_on(&name))
}

/// Lets the sink of a file go on from where it stood.
pub(super) fn resume(
    format: Format,
    file: OpenFile,
    mark: ResumePoint,
) -> anyhow::Result<Box<dyn Sink>> {
    let name = name(&file.path);
    let gone_on = || -> anyhow::Result<Box<dyn Sink>> {
        let (ResumePoint::Lines { length } | ResumePoint::Xml { length, .. }) = mark else {
            bail!("the journal does not say where")
        };
        let mut place = WholeLines::new(file.at_end()?);
        // Cut off, a document would be none until it has its end again.
        if format != Format::Xml {
            place.truncate(length)?;
        }
        Ok(match format {
            Format::Table => Box::new(Table::resume(place, Paint::Plain)),
            Format::Jsonl => Box::new(Jsonl::new(place)),
            Format::Csv => Box::new(Csv::resume(place)),
            Format::Xml => Box::new(Xml::resume(place, mark)?),
        })
    };
    gone_on().with_context(|| going_on(&name))
}

fn going_on(name: &str) -> String {
    format!("going on with the output {name}")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("there is room");
        file.write_all(content).expect("there is room");
        file
    }

    #[test]
    fn only_what_stands_before_a_mark_is_in_its_checksum() {
        let lines = |length| ResumePoint::Lines { length };
        let one = before(&file(b"one\ntwo\n"), lines(4)).expect("a line ends there");
        assert_eq!(before(&file(b"one\nxxx\n"), lines(4)).ok(), Some(one.clone()));
        assert_ne!(before(&file(b"onE\ntwo\n"), lines(4)).ok(), Some(one));
        assert!(before(&file(b"one\ntwo\n"), lines(5)).is_err(), "no line ends there");
        assert!(before(&file(b"one\n"), lines(5)).is_err(), "it is shorter");
        assert!(before(&file(b""), lines(0)).is_ok());
        let long = "x\n".repeat(50_000);
        let mark = lines(long.len() as u64);
        let changed = |at: usize| {
            let mut long = long.clone().into_bytes();
            long[at] = b'y';
            before(&file(&long), mark).ok()
        };
        let whole = before(&file(long.as_bytes()), mark).ok();
        assert_eq!(changed(0), whole, "it is too far back");
        assert_ne!(changed(long.len() - 65_536), whole);
    }

    #[test]
    fn line_that_is_no_row_is_found_behind_a_mark() {
        let foreign = |content: &[u8]| {
            foreign_line(&file(content), 2, "{\"schema\":1,").expect("it can be read")
        };
        let row = "{\"schema\":1,\"host\":\"10.0.0.5\"}\n";
        for ours in ["", row, &row[..20], &row[..3], &row.repeat(3), "\0\0\0\0", "\0\n\0"] {
            assert_eq!(foreign(format!("x\n{ours}").as_bytes()), None, "{ours:?}");
        }
        for other in ["a note\n", "\n", "{\n", "{\"schema\":2,}\n", "note"] {
            assert_eq!(foreign(format!("x\n{other}").as_bytes()), Some(2), "{other:?}");
            let at = 2 + row.len() as u64;
            assert_eq!(foreign(format!("x\n{row}{other}{row}").as_bytes()), Some(at), "{other:?}");
        }
    }
}
