//! Where rows go: stdout and files.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
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
pub(crate) struct Outputs(Vec<Output>);

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
    /// Whoever read stdout has gone: a quiet end.
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
        let open = |spec: &OutputSpec| Output::open(spec, check);
        check.outputs.iter().map(open).collect::<anyhow::Result<_>>().map(Self)
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
        let ends: Vec<_> =
            self.0.iter_mut().map(|output| output.attempt(|output| output.sink.finish())).collect();
        ends.into_iter().collect()
    }

    fn each(&mut self, mut act: impl FnMut(&mut Output) -> io::Result<()>) -> Result<(), Failure> {
        self.0.iter_mut().try_for_each(|output| output.attempt(&mut act))
    }
}

impl Output {
    fn open(spec: &OutputSpec, check: &Check) -> anyhow::Result<Self> {
        let show = check.show.unwrap_or(match spec.format {
            Format::Table => Show::Open,
            Format::Jsonl => Show::All,
        });
        let Some(path) = &spec.file else {
            let sink = sink(spec.format, paint(&io::stdout()), io::stdout());
            return Ok(Self { name: "standard output".into(), is_stdout: true, show, sink });
        };
        let name = path.display().to_string();
        let file = open_file(path, check.existing)
            .with_context(|| format!("opening the output {name}"))?;
        let sink = sink(spec.format, Paint::Plain, file);
        Ok(Self { name, is_stdout: false, show, sink })
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
fn paint(stream: &impl anstream::stream::RawStream) -> Paint {
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
        let lines: Vec<u8> = self.buffer.drain(..end).collect();
        self.output.write_all(&lines)
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

fn open_file(path: &Path, existing: Existing) -> anyhow::Result<WholeWrites> {
    // A device or a pipe has nothing that could be overwritten.
    let exists = path.metadata().is_ok_and(|metadata| metadata.is_file());
    let mut options = OpenOptions::new();
    options.write(true);
    if !exists {
        options.create(true);
    } else if existing.append {
        options.append(true).read(true);
    } else if existing.force {
        options.truncate(true);
    } else {
        bail!("it exists; --append adds to it, --force replaces it");
    }
    let mut file = options.open(path)?;
    let metadata = file.metadata()?;
    if exists && existing.append && !ends_a_line(&mut file, metadata.len())? {
        bail!("it ends in the middle of a line; end that line, or choose another file");
    }
    Ok(WholeWrites { whole: metadata.is_file().then_some(metadata.len()), file })
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
