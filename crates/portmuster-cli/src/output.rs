//! Where rows go: stdout and files.

use std::{io, path::Path};

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, bail};
use portmuster::{
    Outcome,
    sink::{Csv, Ending, Jsonl, Mark, Paint, Place, Sink, Table},
};

mod file;

use self::file::{OpenFile, WholeLines};
use crate::{
    args::{Check, Format, OutputSpec, Show},
    journal::{Kept, KeptFile},
};

/// All the outputs of a run.
pub(crate) struct Outputs(Vec<Output>);

struct Output {
    /// As messages call it.
    name: String,
    is_stdout: bool,
    show: Show,
    sink: Box<dyn Sink>,
    /// Its file, when a journal is kept.
    kept: Option<KeptFile>,
}

/// An output that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read stdout has gone, and there is no other output: a quiet end.
    ClosedPipe,
    /// What it was, and why.
    Broken(anyhow::Error),
}

impl Failure {
    /// As an error, where no output has been written to yet.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::ClosedPipe => anyhow::anyhow!("nobody reads standard output"),
            Self::Broken(error) => error,
        }
    }
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
        let open = |spec: &_, path: &_, others: &_| OpenFile::open(spec, path, check, others);
        let files = open_files(check, open)?;
        let outputs = check.outputs.iter().zip(files);
        let begun = outputs.map(|(spec, file)| Output::begin(spec, file, check));
        Ok(Self(begun.collect::<anyhow::Result<_>>()?))
    }

    /// Opens the outputs of a run that goes on, and cuts them back to where they stood. Nothing is
    /// changed unless that can be done with all.
    ///
    /// # Errors
    /// One is not there, is another file, or has less than it had.
    pub(crate) fn go_on(check: &Check, kept: &[Kept]) -> anyhow::Result<Self> {
        let mut kept = kept.iter();
        let open = |_: &_, path: &_, others: &_| {
            let kept = kept.next().context("the journal has fewer outputs")?;
            OpenFile::reopen(path, kept, others)
        };
        let files = open_files(check, open)?;
        let outputs = check.outputs.iter().zip(files);
        let begun = outputs.map(|(spec, file)| Output::begin(spec, file, check));
        Ok(Self(begun.collect::<anyhow::Result<_>>()?))
    }

    /// The files, when a journal is kept, in the order of their [marks](Self::marks).
    pub(crate) fn take_kept(&mut self) -> Vec<KeptFile> {
        self.0.iter_mut().filter_map(|output| output.kept.take()).collect()
    }

    /// Flushes, and says where every file stands.
    pub(crate) fn marks(&mut self) -> Result<Vec<Mark>, Failure> {
        let mut marks = Vec::new();
        self.each(|output| {
            if output.is_stdout {
                return output.sink.flush();
            }
            marks.push(output.sink.checkpoint()?);
            Ok(())
        })?;
        Ok(marks)
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
    pub(crate) fn finish(&mut self, ending: &Ending) -> Result<(), Failure> {
        let is_alone = self.0.len() == 1;
        let mut ended = Ok(());
        for output in &mut self.0 {
            match output.attempt(|output| output.sink.finish(ending)) {
                Err(Failure::ClosedPipe) if !is_alone => {}
                failed @ Err(_) => ended = failed,
                Ok(()) => {}
            }
        }
        ended
    }

    /// Lets every output act. Where stdout is closed the others go on without it.
    fn each(&mut self, mut act: impl FnMut(&mut Output) -> io::Result<()>) -> Result<(), Failure> {
        let is_alone = self.0.len() == 1;
        let mut acted = Ok(());
        self.0.retain_mut(|output| {
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
    fn begin(spec: &OutputSpec, file: Option<OpenFile>, check: &Check) -> anyhow::Result<Self> {
        let show = check.show.unwrap_or(match spec.format {
            Format::Table => Show::Open,
            Format::Jsonl | Format::Csv => Show::All,
        });
        let is_stdout = file.is_none();
        let kept = file.as_ref().filter(|_| check.journaling.journal.is_some());
        let kept = kept.map(|file| file.kept(spec.format)).transpose()?;
        let sink = match file {
            Some(file) if file.goes_on() => go_on(spec.format, file.begin()?),
            Some(file) => begin(spec.format, Paint::Plain, file.begin()?)?,
            None => begin(spec.format, paint(&io::stdout()), io::stdout())?,
        };
        let name = spec.file.as_deref().map_or("standard output".into(), name);
        Ok(Self { name, is_stdout, show, sink, kept })
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

/// A sink that begins.
fn begin(
    format: Format,
    paint: Paint,
    place: impl Place + 'static,
) -> anyhow::Result<Box<dyn Sink>> {
    let place = WholeLines::new(place);
    Ok(match format {
        Format::Table => Box::new(Table::begin(place, paint)),
        Format::Jsonl => Box::new(Jsonl::new(place)),
        Format::Csv => Box::new(Csv::begin(place)?),
    })
}

/// A sink that adds to a file which has rows.
fn go_on(format: Format, place: impl Place + 'static) -> Box<dyn Sink> {
    let place = WholeLines::new(place);
    match format {
        Format::Table => Box::new(Table::go_on(place, Paint::Plain)),
        Format::Jsonl => Box::new(Jsonl::new(place)),
        Format::Csv => Box::new(Csv::go_on(place)),
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// The files of all outputs, `None` for stdout. Unless all can be opened none is changed.
fn open_files(
    check: &Check,
    mut open: impl FnMut(&OutputSpec, &Path, &[Option<OpenFile>]) -> anyhow::Result<OpenFile>,
) -> anyhow::Result<Vec<Option<OpenFile>>> {
    let mut opened = Vec::new();
    for spec in &check.outputs {
        let Some(path) = &spec.file else {
            opened.push(None);
            continue;
        };
        match open(spec, path, &opened) {
            Ok(file) => opened.push(Some(file)),
            Err(error) => {
                opened.into_iter().flatten().for_each(OpenFile::give_up);
                return Err(error.context(format!("opening the output {}", name(path))));
            }
        }
    }
    Ok(opened)
}
