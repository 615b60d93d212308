//! The targets of a run: arguments and files, read whole before anything is sent, then streams.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
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
        Entries, Excludes, InputFormat, InputOptions, ItemError, LineError, Order, Ports, Shard,
        Skipped, SkippedRecords, TargetSet, Targets,
    },
};

use crate::{args::Check, terminal};

mod excludes;

use self::excludes::ReadExcludes;

/// Targets beyond which a run needs to be split: at the default rate they take three years.
const WHOLE_MAX: u128 = 1 << 40;
/// Bad lines that are reported; the rest is counted.
const REPORTED_MAX: u64 = 20;

type Reader = Entries<Box<dyn BufRead + Send>>;

/// All that is to be checked.
pub(crate) struct Input {
    set: TargetSet,
    excludes: Excludes,
    excludes_fingerprint: u64,
    streams: Vec<Stream>,
    options: InputOptions,
    quiet: bool,
    ports: Ports,
    order: Order,
    shard: Shard,
    bad_lines: BadLines,
    streamed_skipped: SharedSkipped,
}

/// What is left out of streams, while they are being read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedSkipped(Arc<Mutex<Skipped>>);

impl SharedSkipped {
    pub(crate) fn sum(&self) -> Skipped {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, skipped: Skipped) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = sum.with(skipped);
    }
}

struct Stream {
    name: String,
    entries: Reader,
    /// Say nothing but errors of it.
    quiet: bool,
    has_targets: bool,
    is_announced: bool,
}

/// Lines that could not be read.
#[derive(Debug, Clone)]
pub(crate) struct BadLines {
    skip: bool,
    skipped: Arc<AtomicU64>,
    /// Records that name targets which can't be read from them.
    lost: Arc<AtomicU64>,
    /// What ended the input.
    fatal: Arc<Mutex<Option<String>>>,
}

impl BadLines {
    fn new(skip: bool) -> Self {
        Self { skip, skipped: Arc::default(), lost: Arc::default(), fatal: Arc::default() }
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

    /// How many lines and records may name targets that are not checked.
    pub(crate) fn unread(&self) -> u64 {
        self.skipped().saturating_add(self.lost.load(Ordering::Relaxed))
    }

    fn set_fatal(&self, message: String) {
        *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    }

    /// Whether to go on behind this line: then it has been reported.
    fn passes_over(&self, name: &str, error: &LineError) -> bool {
        if !self.skip || error.kind.is_final() {
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
        let options = check.reading.options().map_err(anyhow::Error::msg)?;
        let (excludes, excludes_fingerprint) = read_excludes(check, &options)?;
        let mut input = Self {
            set: TargetSet::new(&excludes),
            excludes,
            excludes_fingerprint,
            streams: Vec::new(),
            options,
            quiet: check.quiet,
            ports: check.ports.clone(),
            order: selection.order(),
            shard: selection.shard,
            bad_lines,
            streamed_skipped: SharedSkipped::default(),
        };
        for item in &check.targets {
            if item == "-" {
                bail!("a target \"-\" is none; to read a list from stdin write -i -");
            }
            let added = input.set.add(item, None, &input.ports);
            added.map_err(|error| argument_error("target", item, &error))?;
        }
        for path in &check.inputs {
            input.add_file(path)?;
        }
        if input.set.is_empty() && input.streams.is_empty() {
            bail!("there is no target: {}", input.why_empty());
        }
        if !check.selection.dry_run.count {
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
    pub(crate) fn skipped(&self) -> Skipped {
        self.set.skipped()
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
    pub(crate) fn streamed_skipped(&self) -> SharedSkipped {
        self.streamed_skipped.clone()
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
            skipped: self.streamed_skipped,
        };
        let streamed = (0_u64..).zip(streamed).filter(move |(place, _)| shard.has(*place));
        streamed.map(|(_, target)| target)
    }

    fn why_empty(&self) -> &'static str {
        if self.set.skipped().is_empty() {
            "name one, or read a list with --input FILE"
        } else {
            "all that were named are excluded"
        }
    }

    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let options = self.options.clone();
        let Some(file) = regular_file(path)? else {
            self.streams.push(Stream::open(path, options, self.quiet)?);
            return Ok(());
        };
        let mut list = Stream::new(path.display().to_string(), file, options, self.quiet);
        let (set, ports) = (&mut self.set, &self.ports);
        let mut read = |item: &str, label: Option<&str>| set.add(item, label, ports);
        while list.next_item(&self.bad_lines, &mut read)?.is_some() {}
        list.finish(&self.bad_lines)
    }
}

impl Stream {
    /// # Errors
    /// It can't be opened.
    fn open(path: &Path, options: InputOptions, quiet: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new("standard input".into(), io::stdin(), options, quiet));
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        Ok(Self::new(name, file, options, quiet))
    }

    fn new(
        name: String,
        input: impl Read + Send + 'static,
        options: InputOptions,
        quiet: bool,
    ) -> Self {
        let input: Box<dyn BufRead + Send> = Box::new(BufReader::new(input));
        let entries = Entries::new(input, options);
        Self { name, entries, quiet, has_targets: false, is_announced: false }
    }

    /// The next item, as `read` takes it; `None` at the end.
    ///
    /// # Errors
    /// A line can't be read, and is not to be passed over.
    fn next_item<T>(
        &mut self,
        bad_lines: &BadLines,
        read: &mut ReadItem<'_, T>,
    ) -> anyhow::Result<Option<T>> {
        loop {
            let item = self.entries.next_item(&mut *read);
            self.announce();
            match item {
                Ok(item) => {
                    self.has_targets |= item.is_some();
                    return Ok(item);
                }
                Err(error) if bad_lines.passes_over(&self.name, &error) => {}
                Err(error) => bail!("{}, {error}", self.name),
            }
        }
    }

    /// Says once what it is, if it is no list and that was not said on the command line.
    fn announce(&mut self) {
        let Some(format) = self.entries.format().filter(|_| !self.is_announced) else { return };
        self.is_announced = true;
        if format != InputFormat::List && !self.quiet && !self.entries.is_format_given() {
            let name = &self.name;
            terminal::note(format!(
                "{name} is read as {format}; if it is something else, say --input-format"
            ));
        }
    }

    /// Says what it had beside targets, when all of it was read.
    ///
    /// # Errors
    /// It had no target.
    fn finish(&self, bad_lines: &BadLines) -> anyhow::Result<()> {
        let passed_over = self.entries.skipped_records();
        let lost = passed_over.iter().filter(|records| records.hides_targets);
        bad_lines.lost.fetch_add(lost.map(|records| records.count).sum(), Ordering::Relaxed);
        let passed_over: Vec<_> = passed_over
            .iter()
            .map(|SkippedRecords { count, description, .. }| format!("{count} {description}"))
            .collect();
        let passed_over = passed_over.join("; ");
        let name = &self.name;
        match (self.has_targets, passed_over.is_empty()) {
            (false, true) => bail!("there is no target in {name}"),
            (false, false) => bail!("there is no target in {name}: it has {passed_over}"),
            (true, true) => {}
            (true, false) if self.quiet => {}
            (true, false) => terminal::note(format!("passed over in {name}: {passed_over}")),
        }
        Ok(())
    }
}

/// What to exclude, and its fingerprint. Names in it are looked up.
fn read_excludes(check: &Check, options: &InputOptions) -> anyhow::Result<(Excludes, u64)> {
    let selection = &check.selection;
    let mut excludes = ReadExcludes::default();
    for item in &selection.exclude {
        let added = excludes.add(item);
        added.map_err(|error| argument_error("exclude", item, &error))?;
        excludes.came_from(|| "--exclude".to_owned());
    }
    for path in &selection.exclude_file {
        excludes.add_file(path, options)?;
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
///
/// # Errors
/// It is a directory, or can't be opened.
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

/// What takes an item and its label.
type ReadItem<'a, T> = dyn FnMut(&str, Option<&str>) -> Result<T, ItemError> + 'a;

/// The targets of streams, a line at a time.
struct Streamed {
    streams: std::vec::IntoIter<Stream>,
    current: Option<Stream>,
    items: Option<Targets>,
    ports: Ports,
    excludes: Excludes,
    bad_lines: BadLines,
    skipped: SharedSkipped,
}

impl Iterator for Streamed {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        loop {
            if let Some(target) = self.items.as_mut().and_then(Iterator::next) {
                return Some(target);
            }
            if self.current.is_none() {
                self.current = Some(self.streams.next()?);
            }
            let stream = self.current.as_mut()?;
            let item = stream.next_item(&self.bad_lines, &mut |item, label| {
                let mut set = TargetSet::new(&self.excludes);
                set.add(item, label, &self.ports).map(|()| set)
            });
            let ended = match item {
                Ok(Some(set)) => {
                    self.skipped.add(set.skipped());
                    self.items = Some(set.into_targets(Order::Given, Shard::WHOLE));
                    continue;
                }
                Ok(None) => stream.finish(&self.bad_lines),
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                return self.end(error.to_string());
            }
            self.current = None;
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
