//! The targets of a run: arguments and files, read whole before anything is sent, then streams.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, anyhow, bail};
use portmuster::{
    Target,
    targets::{
        Excludes, ItemError, LeftOut, LineError, LineErrorKind, Lines, Order, Ports, Shard,
        TargetSet, Targets,
    },
};

use crate::{args::Check, terminal};

mod excludes;

use self::excludes::ReadExcludes;

/// Targets beyond which a run needs to be split: at the default rate they take three years.
const WHOLE_MAX: u128 = 1 << 40;
/// Bad lines that are reported; the rest is counted.
const REPORTED_MAX: u64 = 20;

type Reader = Lines<Box<dyn BufRead + Send>>;

/// All that is to be checked.
pub(crate) struct Input {
    set: TargetSet,
    excludes: Excludes,
    excludes_fingerprint: u64,
    streams: Vec<Stream>,
    ports: Ports,
    order: Order,
    shard: Shard,
    bad_lines: BadLines,
    streamed_left_out: SharedLeftOut,
}

/// What is left out of streams, while they are being read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedLeftOut(Arc<Mutex<LeftOut>>);

impl SharedLeftOut {
    pub(crate) fn sum(&self) -> LeftOut {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, left_out: LeftOut) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = sum.with(left_out);
    }
}

struct Stream {
    name: String,
    lines: Reader,
}

/// Lines that could not be read.
#[derive(Debug, Clone)]
pub(crate) struct BadLines {
    skip: bool,
    skipped: Arc<AtomicU64>,
    /// What ended the input.
    fatal: Arc<Mutex<Option<String>>>,
}

impl BadLines {
    fn new(skip: bool) -> Self {
        Self { skip, skipped: Arc::default(), fatal: Arc::default() }
    }

    /// What ended the input before its end, and where.
    pub(crate) fn fatal(&self) -> Option<anyhow::Error> {
        let message = self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
        message.map(anyhow::Error::msg)
    }

    /// How many lines were reported and passed over.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    fn set_fatal(&self, message: String) {
        *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    }

    /// Whether to go on behind this line: then it has been reported.
    fn passes_over(&self, name: &str, error: &LineError) -> bool {
        // What the system can't read, or what has no line ends, has no next line either.
        let hopeless = matches!(error.kind, LineErrorKind::Io(_) | LineErrorKind::TooLong);
        if !self.skip || hopeless {
            return false;
        }
        if self.skipped.fetch_add(1, Ordering::Relaxed) < REPORTED_MAX {
            terminal::note(format!("passed over {name}, {error}"));
        }
        true
    }
}

impl Input {
    /// Reads the arguments and all regular files; opens the rest.
    ///
    /// # Errors
    /// What can't be read, and where.
    pub(crate) fn read(check: &Check) -> anyhow::Result<Self> {
        let selection = &check.selection;
        let bad_lines = BadLines::new(selection.lines.skip_bad_lines);
        let (excludes, excludes_fingerprint) = read_excludes(check, &bad_lines)?;
        let mut input = Self {
            set: TargetSet::new(&excludes),
            excludes,
            excludes_fingerprint,
            streams: Vec::new(),
            ports: check.ports.clone(),
            order: selection.order(),
            shard: selection.shard,
            bad_lines,
            streamed_left_out: SharedLeftOut::default(),
        };
        for item in &check.targets {
            let added = input.set.add(item, None, &input.ports);
            added.map_err(|error| argument_error("target", item, &error))?;
        }
        for path in &check.inputs {
            input.add_file(path)?;
        }
        if input.set.is_empty() && input.streams.is_empty() {
            bail!("there is no target: {}", input.why_empty());
        }
        if !check.selection.instead.count {
            input.bound()?;
        }
        Ok(input)
    }

    /// Whether one run can have so many.
    fn bound(&self) -> anyhow::Result<()> {
        let len = self.set.len();
        if self.set.can_be_indexed() && (len <= WHOLE_MAX || self.shard != Shard::WHOLE) {
            return Ok(());
        }
        let or_more = if self.set.exact_len().is_none() { " or more" } else { "" };
        bail!(
            "{len}{or_more} targets are too many for one run; check a part of them with --shard \
             M/N, or a smaller network"
        )
    }

    /// How many targets there are; `None` when a stream is among them.
    pub(crate) fn len(&self) -> Option<u128> {
        self.streams.is_empty().then(|| self.indexed())
    }

    /// How many targets there are beside those of streams.
    pub(crate) fn indexed(&self) -> u128 {
        self.shard.share(self.set.len())
    }

    /// What was named and is not checked.
    pub(crate) fn left_out(&self) -> LeftOut {
        self.set.left_out()
    }

    /// The set of targets that were read before the run.
    pub(crate) fn set(&self) -> &TargetSet {
        &self.set
    }

    /// What is never to be connected to.
    pub(crate) fn excludes(&self) -> Excludes {
        self.excludes.clone()
    }

    /// A number that tells other excludes, as they are written, apart.
    pub(crate) fn excludes_fingerprint(&self) -> u64 {
        self.excludes_fingerprint
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    pub(crate) fn shard(&self) -> Shard {
        self.shard
    }

    /// Where to ask whether all lines could be read.
    pub(crate) fn bad_lines(&self) -> BadLines {
        self.bad_lines.clone()
    }

    /// What is left out of streams, as far as they were read.
    pub(crate) fn streamed_left_out(&self) -> SharedLeftOut {
        self.streamed_left_out.clone()
    }

    /// The targets: those of the set, then those of streams.
    pub(crate) fn into_targets(mut self) -> Box<dyn Iterator<Item = Target> + Send> {
        let set = std::mem::take(&mut self.set);
        let targets = set.into_targets(self.order, self.shard);
        // By itself it passes over any number of targets at once.
        if self.streams.is_empty() {
            return Box::new(targets);
        }
        Box::new(targets.chain(self.into_streamed()))
    }

    /// The targets of streams alone.
    pub(crate) fn into_streamed(self) -> impl Iterator<Item = Target> + Send + 'static {
        let shard = self.shard;
        let streamed = Streamed {
            streams: self.streams.into_iter(),
            current: None,
            items: None,
            ports: self.ports,
            excludes: self.excludes,
            bad_lines: self.bad_lines,
            left_out: self.streamed_left_out,
        };
        let streamed = (0_u64..).zip(streamed).filter(move |(place, _)| shard.has(*place));
        streamed.map(|(_, target)| target)
    }

    fn why_empty(&self) -> &'static str {
        if self.set.left_out().is_empty() {
            "name one, or read a list with --input FILE"
        } else {
            "all that were named are excluded"
        }
    }

    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let Some(file) = regular_file(path)? else {
            let (name, lines) = open_stream(path)?;
            self.streams.push(Stream { name, lines });
            return Ok(());
        };
        let (set, ports) = (&mut self.set, &self.ports);
        let mut read = |item: &str, label: Option<&str>| set.add(item, label, ports);
        let items = read_lines(path, file, &self.bad_lines, &mut read)?;
        if items == 0 {
            bail!("there is no target in {}", path.display());
        }
        Ok(())
    }
}

/// What to exclude, and its fingerprint. Names in it are looked up.
fn read_excludes(check: &Check, bad_lines: &BadLines) -> anyhow::Result<(Excludes, u64)> {
    let selection = &check.selection;
    let mut excludes = ReadExcludes::default();
    for item in &selection.exclude {
        let added = excludes.add(item);
        added.map_err(|error| argument_error("exclude", item, &error))?;
        excludes.came_from(|| "--exclude".to_owned());
    }
    for path in &selection.exclude_file {
        let Some(file) = regular_file(path)? else {
            bail!("{} is no regular file; what to exclude is read whole", path.display());
        };
        let name = path.display().to_string();
        let mut lines = Lines::new(BufReader::new(file));
        loop {
            match lines.next_item(|item, _| excludes.add(item)) {
                Ok(Some(())) => excludes.came_from(|| format!("{name}, line {}", lines.line())),
                Ok(None) => break,
                Err(error) if bad_lines.passes_over(&name, &error) => {}
                Err(error) => bail!("{name}, {error}"),
            }
        }
    }
    if let Some(family) = selection.family.other() {
        excludes.add(family)?;
    }
    excludes.resolve(check.quiet)
}

fn argument_error(what: &str, item: &str, error: &ItemError) -> anyhow::Error {
    let ItemError { column, kind, .. } = error;
    anyhow!("{what} {:?}, column {column}: {kind}", excerpt(item))
}

/// The file, or `None` for what is read as a stream.
fn regular_file(path: &Path) -> anyhow::Result<Option<File>> {
    if path == Path::new("-") {
        return Ok(None);
    }
    let name = path.display();
    let kind = path.metadata().with_context(|| format!("opening {name}"))?.file_type();
    if kind.is_dir() {
        bail!("{name} is a directory; a file with one target a line is read");
    }
    if !kind.is_file() {
        return Ok(None);
    }
    File::open(path).with_context(|| format!("opening {name}")).map(Some)
}

fn open_stream(path: &Path) -> anyhow::Result<(String, Reader)> {
    if path == Path::new("-") {
        let input: Box<dyn BufRead + Send> = Box::new(BufReader::new(io::stdin()));
        return Ok(("standard input".into(), Lines::new(input)));
    }
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("opening {name}"))?;
    let input: Box<dyn BufRead + Send> = Box::new(BufReader::new(file));
    Ok((name, Lines::new(input)))
}

/// What takes an item and its label.
type Read<'a> = dyn FnMut(&str, Option<&str>) -> Result<(), ItemError> + 'a;

/// Reads every item of a file; how many there were.
fn read_lines(
    path: &Path,
    file: File,
    bad_lines: &BadLines,
    read: &mut Read<'_>,
) -> anyhow::Result<u64> {
    let name = path.display().to_string();
    let mut lines = Lines::new(BufReader::new(file));
    let mut items = 0;
    loop {
        match lines.next_item(&mut *read) {
            Ok(Some(())) => items += 1,
            Ok(None) => return Ok(items),
            Err(error) if bad_lines.passes_over(&name, &error) => {}
            Err(error) => bail!("{name}, {error}"),
        }
    }
}

/// The targets of streams, a line at a time.
struct Streamed {
    streams: std::vec::IntoIter<Stream>,
    current: Option<(Stream, bool)>,
    items: Option<Targets>,
    ports: Ports,
    excludes: Excludes,
    bad_lines: BadLines,
    left_out: SharedLeftOut,
}

impl Iterator for Streamed {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        loop {
            if let Some(target) = self.items.as_mut().and_then(Iterator::next) {
                return Some(target);
            }
            if self.current.is_none() {
                self.current = Some((self.streams.next()?, false));
            }
            let (stream, has_targets) = self.current.as_mut()?;
            let item = stream.lines.next_item(|item, label| {
                let mut set = TargetSet::new(&self.excludes);
                set.add(item, label, &self.ports).map(|()| set)
            });
            match item {
                Ok(Some(set)) => {
                    *has_targets = true;
                    self.left_out.add(set.left_out());
                    self.items = Some(set.into_targets(Order::Given, Shard::WHOLE));
                }
                Ok(None) if *has_targets => self.current = None,
                Ok(None) => {
                    let message = format!("there is no target in {}", stream.name);
                    return self.end(message);
                }
                Err(error) if self.bad_lines.passes_over(&stream.name, &error) => {}
                Err(error) => {
                    let message = format!("{}, {error}", stream.name);
                    return self.end(message);
                }
            }
        }
    }
}

impl Streamed {
    fn end(&mut self, message: String) -> Option<Target> {
        self.bad_lines.set_fatal(message);
        self.streams = Vec::new().into_iter();
        self.current = None;
        None
    }
}

/// Enough of an argument to tell which it is.
fn excerpt(item: &str) -> String {
    match item.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &item[..end]),
        None => item.to_owned(),
    }
}
