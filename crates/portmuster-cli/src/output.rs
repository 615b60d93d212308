//! Where rows go: stdout and files.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, bail};
use portmuster::{
    Outcome,
    sink::{Beginning, Csv, Ending, Jsonl, Mark, Paint, Place, Sink, Table, Xml},
};

mod file;
mod kept;
mod rowless;

use self::file::{OpenFile, WholeLines};
pub(crate) use self::kept::KeptFile;
use crate::args::{Check, Format, OutputSpec, Show};

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
    /// How a journal keeps it; `None`: it is stdout, or was taken.
    kept: Option<KeptFile>,
}

/// Where an output goes, with nothing in its way. No file that was there is changed yet.
enum Opened {
    Stdout(Format),
    File(Format, OpenFile),
    Database(OpenFile),
    /// An output of a run that goes on, which stood there.
    Kept(OutputSpec, OpenFile, Mark),
}

impl Opened {
    fn file(&self) -> Option<&OpenFile> {
        match self {
            Self::Stdout(_) => None,
            Self::File(_, file) | Self::Database(file) | Self::Kept(_, file, _) => Some(file),
        }
    }

    fn is_database(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Kept(OutputSpec::Database(_), ..))
    }

    /// Looks at all that only others could prevent, and holds on to it: what is left to do.
    fn prepare(self, beginning: &Beginning) -> anyhow::Result<Prepared<'_>> {
        Ok(match self {
            Self::Stdout(format) => {
                Box::new(move || Ok(begin(format, beginning, paint(&io::stdout()), io::stdout())?))
            }
            Self::File(format, file) => Box::new(move || begin_file(format, beginning, file)),
            Self::Database(file) => file.prepare_run(beginning)?,
            Self::Kept(OutputSpec::Database(_), file, mark) => kept::prepare_run(file, mark)?,
            Self::Kept(OutputSpec::Rows { format, .. }, file, mark) => {
                Box::new(move || kept::go_on(format, file, mark))
            }
        })
    }
}

/// Begins a sink, with which the output is changed. Dropped, it leaves the output as it was found.
type Prepared<'a> = Box<dyn FnOnce() -> anyhow::Result<Box<dyn Sink>> + 'a>;

/// An output that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read stdout has gone, and there is no other output and no gate: a quiet end.
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
    /// Opens what the command line asks for; nothing that exists is overwritten unasked. `ready` is
    /// called when all could be opened and nothing has been changed yet.
    ///
    /// # Errors
    /// Two outputs for stdout; a file that exists, or can't be opened; or `ready` fails.
    pub(crate) fn open(
        check: &Check,
        ready: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        if check.outputs.iter().filter(|output| output.file().is_none()).count() > 1 {
            bail!("only one output can go to stdout; give the others a file: -o jsonl=FILE");
        }
        let opened = open(check)?;
        ready()?;
        Self::begin(check, opened)
    }

    fn begin(check: &Check, opened: Vec<Opened>) -> anyhow::Result<Self> {
        let new = new_files(&opened);
        Self::begin_in(check, opened).inspect_err(|_| remove(&new))
    }

    fn begin_in(check: &Check, opened: Vec<Opened>) -> anyhow::Result<Self> {
        let kept = kept::files(check, &opened)?;
        let outputs = check.outputs.iter().zip(begin_all(opened)?).zip(kept);
        let output = |((spec, sink), kept)| Output::new(spec, sink, kept, check.show);
        Ok(Self { all: outputs.map(output).collect(), has_gate: check.gates.are_set() })
    }

    /// Flushes, and says where every file stands.
    ///
    /// # Errors
    /// It could not be written.
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
        let is_alone = self.ends_with_stdout();
        let mut ended = Ok(());
        for output in &mut self.all {
            match output.attempt(|output| output.sink.finish(ending)) {
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
    fn new(
        spec: &OutputSpec,
        sink: Box<dyn Sink>,
        kept: Option<KeptFile>,
        show: Option<Show>,
    ) -> Self {
        let name = spec.file().map_or("standard output".into(), name);
        let is_stdout = spec.file().is_none();
        Self { name, is_stdout, show: show.unwrap_or(spec.shown()), sink, kept }
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

/// A sink that begins in a file, or adds to its rows.
fn begin_file(
    format: Format,
    beginning: &Beginning,
    file: OpenFile,
) -> anyhow::Result<Box<dyn Sink>> {
    let path = file.path().to_owned();
    let (has_rows, file) = (file.has_rows(), file.begin()?);
    if has_rows && format == Format::Csv {
        return Ok(Box::new(Csv::go_on(WholeLines::new(file))));
    }
    begin(format, beginning, Paint::Plain, file).with_context(|| format!("writing {}", name(&path)))
}

/// A sink that begins.
fn begin(
    format: Format,
    beginning: &Beginning,
    paint: Paint,
    place: impl Place + 'static,
) -> io::Result<Box<dyn Sink>> {
    let place = WholeLines::new(place);
    Ok(match format {
        Format::Table => Box::new(Table::begin(place, paint)),
        Format::Jsonl => Box::new(Jsonl::new(place)),
        Format::Csv => Box::new(Csv::begin(place)?),
        Format::Xml => Box::new(Xml::begin(place, beginning)?),
    })
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Opens all outputs, or leaves all files as they were.
fn open(check: &Check) -> anyhow::Result<Vec<Opened>> {
    let mut opened = Vec::new();
    for spec in &check.outputs {
        match open_one(check, spec, &opened) {
            Ok(one) => opened.push(one),
            Err(error) => {
                remove(&new_files(&opened));
                return Err(error);
            }
        }
    }
    Ok(opened)
}

fn open_one(check: &Check, spec: &OutputSpec, others: &[Opened]) -> anyhow::Result<Opened> {
    let file = |path: &Path| {
        let others = others.iter().filter_map(Opened::file);
        OpenFile::open(path, spec, check, others)
            .and_then(|file| kept::can_be(file, check))
            .with_context(|| format!("opening the output {}", name(path)))
    };
    Ok(match spec {
        OutputSpec::Rows { format, file: None } => Opened::Stdout(*format),
        OutputSpec::Rows { format, file: Some(path) } => Opened::File(*format, file(path)?),
        OutputSpec::Database(path) => Opened::Database(file(path)?),
    })
}

fn new_files(opened: &[Opened]) -> Vec<PathBuf> {
    let new = opened.iter().filter_map(Opened::file).filter(|file| file.is_new());
    new.map(|file| file.path().to_owned()).collect()
}

fn remove(new: &[PathBuf]) {
    for path in new {
        // Left behind, it would be in the way of the next run and nothing else.
        let _ = fs::remove_file(path);
    }
}

/// Begins a sink in each place. Nothing is changed before all are prepared; what happens in
/// databases can be undone until the end, so these come last.
fn begin_all(opened: Vec<Opened>) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let beginning = Beginning { time: now(), arguments: arguments() };
    let mut places: Vec<_> = opened.into_iter().enumerate().collect();
    // By which file it is: of two runs in the same databases none waits for what the other holds.
    places.sort_by_key(|(_, opened)| opened.file().map(OpenFile::identity));
    let mut prepared = Vec::new();
    for (at, opened) in places {
        prepared.push((opened.is_database(), at, opened.prepare(&beginning)?));
    }
    prepared.sort_by_key(|&(is_database, ..)| is_database);
    let mut sinks = Vec::new();
    for (_, at, begin) in prepared {
        sinks.push((at, begin()?));
    }
    sinks.sort_by_key(|&(at, _)| at);
    Ok(sinks.into_iter().map(|(_, sink)| sink).collect())
}

/// What people read about when a run was; nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "nothing is decided by it")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The command line, with the program's name instead of the way to it.
fn arguments() -> String {
    let arguments = env::args_os().skip(1);
    arguments.fold("portmuster".to_owned(), |line, argument| {
        format!("{line} {}", argument.to_string_lossy())
    })
}
