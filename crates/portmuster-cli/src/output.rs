//! Where rows go: stdout and files.

use std::{env, io, path::Path, time::SystemTime};

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, anyhow};
use portmuster::{
    Outcome,
    sink::{
        Beginning, Csv, DatabaseError, Ending, Jsonl, Paint, ResumePoint, SeekableOutput, Sink,
        Table, Xml,
    },
};

mod file;
mod lock;
mod names;
mod resume;
mod rowless;
mod standard;
mod trace;
mod whole;

use self::{
    file::{Expected, Made, OpenFile},
    names::{Identity, redirected},
    standard::{Redirection, Standard},
    whole::{Changed, WholeLines},
};
pub(crate) use self::{
    names::{ReadFiles, refuse_reserved},
    resume::KeptFile,
    trace::new_run_id,
};
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
    /// What is compared with what is there at the end.
    place: Written,
    /// How a journal keeps it; `None`: it is stdout, or was taken.
    kept: Option<KeptFile>,
}

/// Where the rows of an output are to be at the end.
enum Written {
    Stdout(Redirection),
    File(Expected),
    /// A device or a pipe, which keeps nothing.
    Stream,
}

impl Written {
    fn check(&self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(redirection) => redirection.check(),
            Self::File(expected) => expected.check(),
            Self::Stream => Ok(()),
        }
    }
}

/// Where an output goes, with nothing in its way. No file that was there is changed yet.
enum Opened {
    Stdout(Format, Redirection),
    File(Format, OpenFile),
    Database(OpenFile),
    /// An output of a run that goes on, which stood there.
    Kept(OutputSpec, OpenFile, ResumePoint),
}

impl Opened {
    fn file(&self) -> Option<&OpenFile> {
        match self {
            Self::Stdout(..) => None,
            Self::File(_, file) | Self::Database(file) | Self::Kept(_, file, _) => Some(file),
        }
    }

    fn place(&self, spec: &OutputSpec) -> Written {
        match self {
            Self::Stdout(_, redirection) => Written::Stdout(redirection.clone()),
            Self::File(_, file) | Self::Database(file) | Self::Kept(_, file, _) => {
                file.expected(spec).map_or(Written::Stream, Written::File)
            }
        }
    }

    fn is_database(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Kept(OutputSpec::Database(_), ..))
    }

    /// Looks at all that only others could prevent, and holds on to it: what is left to do.
    fn prepare(self, beginning: &Beginning) -> anyhow::Result<Prepared<'_>> {
        Ok(match self {
            Self::Stdout(format, redirection) => Box::new(move || {
                let stdout = Standard::new(&redirection);
                Ok(begin(format, beginning, paint(&io::stdout()), stdout)?)
            }),
            Self::File(format, file) => Box::new(move || begin_file(format, beginning, file)),
            Self::Database(file) => file.prepare_run(beginning)?,
            Self::Kept(OutputSpec::Database(_), file, mark) => resume::prepare_run(file, mark)?,
            Self::Kept(OutputSpec::Rows { format, .. }, file, mark) => {
                Box::new(move || resume::resume(format, file, mark))
            }
        })
    }
}

/// Why there are no outputs.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// One was refused, and none was changed.
    Refused(anyhow::Error),
    /// One could not be written.
    Failed(anyhow::Error),
}

impl Unopened {
    /// The error of an output that was only looked at. A disk may be full by then.
    fn looking(error: anyhow::Error) -> Self {
        let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        let is_failure = match error.downcast_ref() {
            Some(DatabaseError::Io(error)) => is_full(error),
            _ => error.downcast_ref().is_some_and(is_full),
        };
        if is_failure { Self::Failed(error) } else { Self::Refused(error) }
    }
}

impl From<anyhow::Error> for Unopened {
    fn from(error: anyhow::Error) -> Self {
        Self::Refused(error)
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
    ) -> Result<Self, Unopened> {
        if check.outputs.iter().filter(|output| output.file().is_none()).count() > 1 {
            let error = "only one output can go to stdout; give the others a file: -o jsonl=FILE";
            return Err(anyhow!(error).into());
        }
        let opened = open(check)?;
        if let Err(error) = ready() {
            made(check, &opened).into_iter().for_each(Made::remove);
            return Err(Unopened::Failed(error));
        }
        Self::begin(check, opened)
    }

    fn begin(check: &Check, opened: Vec<Opened>) -> Result<Self, Unopened> {
        let made = made(check, &opened);
        let begun = Self::begin_in(check, opened);
        if begun.is_err() {
            made.into_iter().for_each(Made::remove);
        }
        begun
    }

    fn begin_in(check: &Check, opened: Vec<Opened>) -> Result<Self, Unopened> {
        let kept = resume::files(check, &opened)?;
        let places = check.outputs.iter().zip(&opened);
        let places: Vec<_> = places.map(|(spec, opened)| opened.place(spec)).collect();
        let sinks = begin_all(opened)?;
        let outputs = check.outputs.iter().zip(sinks).zip(places).zip(kept);
        let output =
            |(((spec, sink), place), kept)| Output::new(spec, sink, place, kept, check.show);
        Ok(Self { all: outputs.map(output).collect(), has_gate: check.gates.are_set() })
    }

    /// Flushes, and says where every file stands.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn marks(&mut self) -> Result<Vec<ResumePoint>, Failure> {
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

    /// Ends every output, also those after one that fails, and sees that what was written is there.
    pub(crate) fn finish(&mut self, ending: &Ending) -> Result<(), Failure> {
        let is_alone = self.ends_with_stdout();
        let mut ended = Ok(());
        for output in &mut self.all {
            match output.finish(ending) {
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
        place: Written,
        kept: Option<KeptFile>,
        show: Option<Show>,
    ) -> Self {
        let name = spec.file().map_or("standard output".into(), name);
        let is_stdout = spec.file().is_none();
        Self { name, is_stdout, show: show.unwrap_or(spec.shown()), sink, place, kept }
    }

    fn finish(&mut self, ending: &Ending) -> Result<(), Failure> {
        self.attempt(|output| output.sink.finish(ending))?;
        let checked = self.place.check();
        checked.with_context(|| format!("writing {}", self.name)).map_err(Failure::Broken)
    }

    fn attempt(&mut self, act: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<(), Failure> {
        act(self).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe if self.is_stdout => Failure::ClosedPipe,
            _ => {
                let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Changed>());
                let is_changed = cause.is_some();
                let rest = if is_changed { "" } else { "; the rows before are whole" };
                let context = format!("writing {}{rest}", self.name);
                Failure::Broken(anyhow::Error::new(error).context(context))
            }
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
        return Ok(Box::new(Csv::resume(WholeLines::new(file))));
    }
    begin(format, beginning, Paint::Plain, file).with_context(|| format!("writing {}", name(&path)))
}

/// A sink that begins.
fn begin(
    format: Format,
    beginning: &Beginning,
    paint: Paint,
    place: impl SeekableOutput + 'static,
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
fn open(check: &Check) -> Result<Vec<Opened>, Unopened> {
    let reads = ReadFiles::of(check);
    let mut opened = Vec::new();
    for spec in &check.outputs {
        match open_one(check, spec, &reads, &opened) {
            Ok(one) => opened.push(one),
            Err(error) => {
                made(check, &opened).into_iter().for_each(Made::remove);
                return Err(Unopened::looking(error));
            }
        }
    }
    Ok(opened)
}

fn open_one(
    check: &Check,
    spec: &OutputSpec,
    reads: &ReadFiles,
    others: &[Opened],
) -> anyhow::Result<Opened> {
    let others = others.iter().filter_map(Opened::file).map(OpenFile::identity);
    let others: Vec<_> = others.chain(stdout_file(check)).collect();
    let file = |path: &Path| {
        OpenFile::open(path, spec, check, reads, &others)
            .with_context(|| format!("opening the output {}", name(path)))
    };
    Ok(match spec {
        OutputSpec::Rows { format, file: None } => Opened::Stdout(*format, Redirection::new()?),
        OutputSpec::Rows { format, file: Some(path) } => Opened::File(*format, file(path)?),
        OutputSpec::Database(path) => Opened::Database(file(path)?),
    })
}

/// The file that rows on standard output go to, if they go to one.
fn stdout_file(check: &Check) -> Option<Identity> {
    let has_stdout = check.outputs.iter().any(|output| output.file().is_none());
    let (identity, ..) = redirected(&io::stdout()).filter(|_| has_stdout)?;
    Some(identity)
}

/// The files that this run has made.
fn made(check: &Check, opened: &[Opened]) -> Vec<Made> {
    let files = check.outputs.iter().zip(opened);
    files.filter_map(|(spec, opened)| opened.file()?.made(spec)).collect()
}

/// Begins a sink in each place. Nothing is changed before all are prepared; what happens in
/// databases can be undone until the end, so these come last.
fn begin_all(opened: Vec<Opened>) -> Result<Vec<Box<dyn Sink>>, Unopened> {
    let beginning = Beginning { time: now(), arguments: arguments() };
    let mut places: Vec<_> = opened.into_iter().enumerate().collect();
    // By which file it is: of two runs in the same databases none waits for what the other holds.
    places.sort_by_key(|(_, opened)| opened.file().map(OpenFile::identity));
    let mut prepared = Vec::new();
    for (at, opened) in places {
        let is_database = opened.is_database();
        let begin = opened.prepare(&beginning).map_err(Unopened::looking)?;
        prepared.push((is_database, at, begin));
    }
    prepared.sort_by_key(|&(is_database, ..)| is_database);
    let mut sinks = Vec::new();
    for (_, at, begin) in prepared {
        sinks.push((at, begin().map_err(Unopened::Failed)?));
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
