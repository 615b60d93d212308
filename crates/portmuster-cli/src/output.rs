//! Where rows go: stdout and files.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, bail};
use portmuster::{
    Outcome,
    sink::{Jsonl, Paint, Sink, Table},
};

use crate::args::{Check, Existing, Format, OutputSpec, Show};

/// Bytes that are gathered before they are written, when nobody flushes before.
const BUFFER_MAX: usize = 64 * 1024;

/// All the outputs of a run.
pub(crate) struct Outputs {
    all: Vec<Output>,
    /// Somebody wants the outcomes even when no output is left.
    has_gate: bool,
}

struct Output {
    /// As messages call it.
    name: String,
    is_stdout: bool,
    show: Show,
    sink: Box<dyn Sink>,
}

/// An output that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read stdout has gone, and there is no other output and no gate: a quiet end.
    ClosedPipe,
    /// What it was, and why.
    Broken(anyhow::Error),
}

impl Outputs {
    /// Opens what the command line asks for; nothing that exists is overwritten unasked.
    ///
    /// # Errors
    /// Two outputs for stdout; a file that exists, or can't be opened.
    pub(crate) fn open(check: &Check) -> anyhow::Result<Self> {
        if check.outputs.iter().filter(|output| output.file.is_none()).count() > 1 {
            bail!("only one output can go to stdout; give the others a file: -o jsonl=FILE");
        }
        let files = open_files(check)?;
        let outputs = check.outputs.iter().zip(files);
        let all = outputs.map(|(spec, file)| Output::new(spec, file, check.show)).collect();
        Ok(Self { all, has_gate: check.gates.are_set() })
    }

    /// Writes a row to every output that wants it.
    pub(crate) fn write(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        self.each(|output| match output.show {
            Show::Open if !outcome.is_open() => Ok(()),
            Show::Open | Show::All => output.sink.write(outcome),
        })
    }

    /// Makes all rows seen.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.each(|output| output.sink.flush())
    }

    /// Ends every output, also those after one that fails.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        let is_alone = self.ends_with_stdout();
        let mut ended = Ok(());
        for output in &mut self.all {
            match output.attempt(|output| output.sink.finish()) {
                Err(Failure::ClosedPipe) if !is_alone => {}
                failed @ Err(_) => ended = failed,
                Ok(()) => {}
            }
        }
        ended
    }

    /// Whether nobody wants rows once whoever reads stdout has gone.
    fn ends_with_stdout(&self) -> bool {
        self.all.len() == 1 && !self.has_gate
    }

    /// Lets every output act. Where stdout is closed the others go on without it.
    fn each(&mut self, mut act: impl FnMut(&mut Output) -> io::Result<()>) -> Result<(), Failure> {
        let is_alone = self.ends_with_stdout();
        let mut acted = Ok(());
        self.all.retain_mut(|output| {
            if acted.is_err() {
                return true;
            }
            match output.attempt(&mut act) {
                Err(Failure::ClosedPipe) if !is_alone => return false,
                failed @ Err(_) => acted = failed,
                Ok(()) => {}
            }
            true
        });
        acted
    }
}

impl Output {
    fn new(spec: &OutputSpec, file: Option<WholeWrites>, show: Option<Show>) -> Self {
        let show = show.unwrap_or(match spec.format {
            Format::Table => Show::Open,
            Format::Jsonl => Show::All,
        });
        let is_stdout = file.is_none();
        let sink = match file {
            Some(file) => sink(spec.format, Paint::Plain, file),
            None => sink(spec.format, paint(&io::stdout()), io::stdout()),
        };
        let name = spec.file.as_deref().map_or("standard output".into(), name);
        Self { name, is_stdout, show, sink }
    }

    fn attempt(&mut self, act: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<(), Failure> {
        act(self).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe if self.is_stdout => Failure::ClosedPipe,
            _ => Failure::Broken(
                anyhow::Error::new(error)
                    .context(format!("writing {}; the rows before are whole", self.name)),
            ),
        })
    }
}

/// As `--color` has it for this stream.
pub(crate) fn paint(stream: &impl anstream::stream::RawStream) -> Paint {
    match AutoStream::choice(stream) {
        ColorChoice::Never => Paint::Plain,
        _ => Paint::Ansi,
    }
}

fn sink<W: Write + 'static>(format: Format, paint: Paint, output: W) -> Box<dyn Sink> {
    let output = WholeLines { output, buffer: Vec::new() };
    match format {
        Format::Table => Box::new(Table::new(output, paint)),
        Format::Jsonl => Box::new(Jsonl::new(output)),
    }
}

/// Gathers what is written and passes on whole lines only.
struct WholeLines<W> {
    output: W,
    buffer: Vec<u8>,
}

impl<W: Write> WholeLines<W> {
    fn pass_on(&mut self) -> io::Result<()> {
        let end = self.buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let written = self.output.write_all(&self.buffer[..end]);
        // Also when it failed: what could not be written once is not written twice.
        self.buffer.drain(..end);
        written
    }
}

impl<W: Write> Write for WholeLines<W> {
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

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// The files of all outputs, `None` for stdout. Unless all can be opened none is changed.
fn open_files(check: &Check) -> anyhow::Result<Vec<Option<WholeWrites>>> {
    let mut opened = Vec::new();
    for spec in &check.outputs {
        let Some(path) = &spec.file else {
            opened.push(None);
            continue;
        };
        match OpenFile::open(path, check.existing, &check.inputs, opened.iter().flatten()) {
            Ok(file) => opened.push(Some(file)),
            Err(error) => {
                opened.into_iter().flatten().for_each(OpenFile::give_up);
                return Err(error.context(format!("opening the output {}", name(path))));
            }
        }
    }
    let begin = |file: Option<OpenFile>| file.map(|file| file.begin(check.existing)).transpose();
    opened.into_iter().map(begin).collect()
}

/// An output file that is open, and as it was found.
struct OpenFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    is_new: bool,
}

impl OpenFile {
    fn open<'a>(
        path: &Path,
        existing: Existing,
        inputs: &[PathBuf],
        mut others: impl Iterator<Item = &'a Self>,
    ) -> anyhow::Result<Self> {
        let found = path.metadata().ok();
        // A device or a pipe has nothing that could be overwritten.
        if let Some(metadata) = found.as_ref().filter(|metadata| metadata.is_file()) {
            if others.any(|other| other.is(metadata)) {
                bail!("another output goes to the same file; give each its own");
            }
            if is_input(metadata, inputs) {
                bail!("it is read as an input as well; choose another file");
            }
            if !existing.append && !existing.force {
                bail!("it exists; --append adds to it, --force replaces it");
            }
        }
        let append = existing.append && found.as_ref().is_some_and(Metadata::is_file);
        let mut options = OpenOptions::new();
        options.write(true).append(append).read(append).create(found.is_none());
        let mut file = options.open(path)?;
        let metadata = file.metadata()?;
        if append && !ends_a_line(&mut file, metadata.len())? {
            bail!("it ends in the middle of a line; end that line, or choose another file");
        }
        Ok(Self { path: path.to_owned(), file, metadata, is_new: found.is_none() })
    }

    fn is(&self, other: &Metadata) -> bool {
        is_same(&self.metadata, other)
    }

    fn begin(self, existing: Existing) -> anyhow::Result<WholeWrites> {
        let Self { path, file, metadata, .. } = self;
        if !metadata.is_file() {
            return Ok(WholeWrites { file, whole: None });
        }
        if existing.append {
            return Ok(WholeWrites { file, whole: Some(metadata.len()) });
        }
        file.set_len(0).with_context(|| format!("emptying the output {}", name(&path)))?;
        Ok(WholeWrites { file, whole: Some(0) })
    }

    fn give_up(self) {
        if self.is_new {
            // Left behind, it would be in the way of the next run and nothing else.
            let _ = fs::remove_file(self.path);
        }
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn is_input(output: &Metadata, inputs: &[PathBuf]) -> bool {
    inputs.iter().any(|input| input.metadata().is_ok_and(|input| is_same(&input, output)))
}

fn ends_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}

/// A file in which a write is whole or not there: what a full disk cut off is taken back.
struct WholeWrites {
    file: File,
    /// Length up to the last whole write; `None` for what can't be cut, a device or a pipe.
    whole: Option<u64>,
}

impl Write for WholeWrites {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_all(bytes);
        if let Some(whole) = &mut self.whole {
            match written {
                Ok(()) => *whole += bytes.len() as u64,
                Err(_) => self.file.set_len(*whole)?,
            }
        }
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_passed_on() {
        let mut lines = WholeLines { output: Vec::new(), buffer: Vec::new() };
        lines.write_all(b"one\ntw").expect("it is gathered");
        lines.flush().expect("a vector takes it");
        assert_eq!(lines.output, b"one\n");
        lines.write_all(b"o\n").expect("it is gathered");
        lines.flush().expect("a vector takes it");
        assert_eq!(lines.output, b"one\ntwo\n");
    }

    #[test]
    fn what_is_too_much_to_gather_is_passed_on() {
        let mut lines = WholeLines { output: Vec::new(), buffer: Vec::new() };
        for _ in 0..BUFFER_MAX {
            lines.write_all(b"a line\n").expect("a vector takes it");
        }
        assert!(lines.buffer.len() < BUFFER_MAX && lines.output.ends_with(b"\n"));
    }
}
