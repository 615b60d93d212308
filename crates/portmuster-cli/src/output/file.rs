//! Files that rows go to: opened so that nothing is lost, and written so that rows are whole.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use portmuster::sink::{Beginning, Csv, Place, PreparedRun, Sink, Sqlite};

use super::{Prepared, name, rowless::refuse_existing};
use crate::args::{Check, Format, OutputSpec};

/// Bytes that are gathered before they are written, when nobody flushes before.
const BUFFER_MAX: usize = 64 * 1024;

/// An output file that is open, and as it was found.
pub(super) struct OpenFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) metadata: Metadata,
    is_new: bool,
    /// Rows are added to those that are there.
    has_rows: bool,
}

impl OpenFile {
    /// Opens it, and changes nothing yet.
    ///
    /// # Errors
    /// It can't be opened, or it has what was not to be overwritten or can't be added to.
    pub(super) fn open<'a>(
        path: &Path,
        spec: &OutputSpec,
        check: &Check,
        mut others: impl Iterator<Item = &'a Self>,
    ) -> anyhow::Result<Self> {
        let existing = check.existing;
        let found = path.metadata().ok();
        let is_database = matches!(spec, OutputSpec::Database(_));
        // A device or a pipe has nothing that could be overwritten.
        if let Some(metadata) = found.as_ref().filter(|metadata| metadata.is_file()) {
            if others.any(|other| other.is(metadata)) {
                bail!("another output goes to the same file; give each its own");
            }
            if is_input(metadata, &check.inputs) {
                bail!("it is read as an input as well; choose another file");
            }
            // Runs accumulate in a database, whatever is said.
            if !existing.append && !existing.force && !is_database {
                refuse_existing(path, spec, check.journaling.resume)?;
            }
        } else if found.is_some() && is_database {
            bail!("it is not a file, and a database has to be in one");
        }
        let is_file = found.as_ref().is_some_and(Metadata::is_file);
        let append = is_file && existing.append && !is_database;
        let mut options = OpenOptions::new();
        options
            .write(true)
            .append(append)
            .read(append || (is_file && is_database))
            .create(found.is_none());
        let mut file = options.open(path)?;
        let metadata = file.metadata()?;
        if is_file && is_database {
            Sqlite::inspect(path)?;
        }
        let has_rows = append && metadata.len() > 0;
        if has_rows {
            can_go_on(&mut file, spec)?;
        }
        Ok(Self { path: path.to_owned(), file, metadata, is_new: found.is_none(), has_rows })
    }

    /// Opens a file that an earlier process has written to, and changes nothing yet.
    ///
    /// # Errors
    /// It can't be opened.
    pub(super) fn reopen(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let metadata = file.metadata()?;
        Ok(Self { path: path.to_owned(), file, metadata, is_new: false, has_rows: true })
    }

    /// Makes it ready for more behind all that it has.
    ///
    /// # Errors
    /// It has no end.
    pub(super) fn at_end(self) -> io::Result<WholeWrites> {
        let mut file = self.file;
        let length = file.seek(SeekFrom::End(0))?;
        Ok(WholeWrites { file, whole: Some(length) })
    }

    /// Whether rows are added to those that are there.
    pub(super) fn has_rows(&self) -> bool {
        self.has_rows
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this run has made it.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Which file it is: device and inode.
    pub(super) fn identity(&self) -> (u64, u64) {
        identity(&self.metadata)
    }

    fn is(&self, other: &Metadata) -> bool {
        is_same(&self.metadata, other)
    }

    /// Makes it ready for rows: what is to be overwritten goes.
    ///
    /// # Errors
    /// It can't be emptied.
    pub(super) fn begin(self) -> anyhow::Result<WholeWrites> {
        let Self { path, file, metadata, has_rows, .. } = self;
        if !metadata.is_file() {
            return Ok(WholeWrites { file, whole: None });
        }
        if has_rows {
            return Ok(WholeWrites { file, whole: Some(metadata.len()) });
        }
        empty(&file).with_context(|| format!("emptying the output {}", name(&path)))?;
        Ok(WholeWrites { file, whole: Some(0) })
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
    pub(super) fn prepare_to_go_on(self, run: i64, last: i64) -> anyhow::Result<Prepared<'static>> {
        let path = self.closed();
        Ok(committing(PreparedRun::go_on(&path, run, last)?, path))
    }

    /// The path of a database, whose file is closed.
    fn closed(self) -> PathBuf {
        // Closing it later would take the locks away that SQLite has on it.
        self.path
    }
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

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    identity(one) == identity(other)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn is_input(output: &Metadata, inputs: &[PathBuf]) -> bool {
    inputs.iter().any(|input| input.metadata().is_ok_and(|input| is_same(&input, output)))
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

/// A file in which a write is whole or not there: what a full disk cut off is taken back.
pub(super) struct WholeWrites {
    file: File,
    /// Length up to the last whole write; `None` for what can't be cut, a device or a pipe.
    whole: Option<u64>,
}

impl Write for WholeWrites {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(bytes) {
            if let Some(whole) = self.whole {
                self.file.set_len(whole)?;
                self.file.seek(SeekFrom::Start(whole))?;
            }
            return Err(error);
        }
        self.whole = self.whole.map(|whole| whole + bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Place for WholeWrites {
    fn length(&self) -> Option<u64> {
        self.whole
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.whole = Some(length);
        Ok(())
    }
}

/// Gathers what is written and passes on whole lines only.
pub(super) struct WholeLines<P> {
    output: P,
    buffer: Vec<u8>,
}

impl<P: Place> WholeLines<P> {
    pub(super) fn new(output: P) -> Self {
        Self { output, buffer: Vec::new() }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let end = self.buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let written = self.output.write_all(&self.buffer[..end]);
        // Also when it failed: what could not be written once is not written twice.
        self.buffer.drain(..end);
        written
    }
}

impl<P: Place> Write for WholeLines<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_MAX {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.output.flush()
    }
}

impl<P: Place> Place for WholeLines<P> {
    fn length(&self) -> Option<u64> {
        Some(self.output.length()? + self.buffer.len() as u64)
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.output.rewrite(at, bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.output.cut(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_passed_on() {
        let mut lines = WholeLines::new(Vec::new());
        lines.write_all(b"one\ntw").expect("it is gathered");
        lines.flush().expect("a vector takes it");
        assert_eq!(lines.output, b"one\n");
        lines.write_all(b"o\n").expect("it is gathered");
        lines.flush().expect("a vector takes it");
        assert_eq!(lines.output, b"one\ntwo\n");
    }

    #[test]
    fn what_is_too_much_to_gather_is_passed_on() {
        let mut lines = WholeLines::new(Vec::new());
        for _ in 0..BUFFER_MAX {
            lines.write_all(b"a line\n").expect("a vector takes it");
        }
        assert!(lines.buffer.len() < BUFFER_MAX && lines.output.ends_with(b"\n"));
    }
}
