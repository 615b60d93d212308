//! The targets of a run: arguments and regular files, read before the run starts, then streams.

use std::path::Path;

use anyhow::bail;
use portmuster::{
    Target,
    targets::{Excludes, InputOptions, ItemError, Order, Ports, Shard, Skipped, TargetSet},
};

use crate::{args::Check, formats::Labels};

mod bad_lines;
mod errors;
mod excludes;
pub(crate) mod known_keys;
mod list;
mod read_input;
mod streamed;

use self::{
    bad_lines::BadLines,
    excludes::ReadExcludes,
    list::{List, is_file_on_stdin, open_regular},
    streamed::{Stream, StreamCounts, StreamRules, Streamed},
};
pub(crate) use self::{
    errors::{describe_argument, describe_argument_kind},
    read_input::ReadInput,
};

/// Maximum number of targets of one run. At the default rate they take three years.
const TARGETS_MAX: u128 = 1 << 40;

/// Why a run whose input names targets has none.
pub(crate) const ALL_EXCLUDED: &str = "all named targets are excluded";

/// Everything that a run checks.
pub(crate) struct Input {
    set: TargetSet,
    excludes: Excludes,
    streams: Vec<Stream>,
    options: InputOptions,
    quiet: bool,
    ports: Ports,
    order: Order,
    shard: Shard,
    bad_lines: BadLines,
    streamed: StreamCounts,
}

impl Input {
    /// Reads the arguments and all regular files, and opens the streams.
    ///
    /// # Errors
    /// A file or a line can't be read, or there is no target, or there are too many.
    pub(crate) fn read(check: &Check) -> anyhow::Result<Self> {
        let selection = &check.selection;
        let bad_lines = BadLines::new(selection.lines.skip_bad_lines);
        let options = check.input_format.options().map_err(anyhow::Error::msg)?;
        let excludes = read_excludes(check, &options)?;
        let mut input = Self {
            set: TargetSet::new(&excludes),
            excludes,
            streams: Vec::new(),
            options,
            quiet: check.quiet,
            ports: check.ports.clone(),
            order: selection.order(),
            shard: selection.shard,
            bad_lines,
            streamed: StreamCounts::default(),
        };
        for item in &check.targets {
            if item == "-" {
                bail!("\"-\" is not a target: to read a list from stdin, use -i -");
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
        if !selection.dry_run.count {
            input.check_size()?;
        }
        Ok(input)
    }

    /// # Errors
    /// There are too many targets for one run.
    fn check_size(&self) -> anyhow::Result<()> {
        let len = self.set.len();
        if self.set.can_be_indexed() && (len <= TARGETS_MAX || self.shard != Shard::WHOLE) {
            return Ok(());
        }
        let or_more = if self.set.exact_len().is_none() { " or more" } else { "" };
        bail!(
            "{len}{or_more} targets are too many for one run: check a part of them with --shard M/N, \
             or a smaller network"
        )
    }

    /// Returns the number of targets; `None`: some come from a stream.
    pub(crate) fn len(&self) -> Option<u128> {
        self.streams.is_empty().then(|| self.indexed_len())
    }

    /// Returns the number of targets that do not come from a stream.
    pub(crate) fn indexed_len(&self) -> u128 {
        self.shard.share(self.set.len())
    }

    /// Returns the entries of arguments and regular files that are no targets of the run.
    pub(crate) fn skipped(&self) -> Skipped {
        self.set.skipped()
    }

    /// Returns the targets that do not come from a stream.
    pub(crate) fn set(&self) -> &TargetSet {
        &self.set
    }

    /// Returns whether targets have labels.
    pub(crate) fn labels(&self) -> Labels {
        match (self.set.has_labels(), self.streams.is_empty()) {
            (true, _) => Labels::Some,
            (false, true) => Labels::None,
            (false, false) => Labels::Unknown,
        }
    }

    /// Returns the addresses that the run must not connect to.
    pub(crate) fn excludes(&self) -> &Excludes {
        &self.excludes
    }

    /// Returns the order of the targets that do not come from a stream.
    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// Returns the part of the targets that this run checks.
    pub(crate) fn shard(&self) -> Shard {
        self.shard
    }

    /// Returns the shared count of bad lines.
    pub(crate) fn bad_lines(&self) -> BadLines {
        self.bad_lines.clone()
    }

    /// Returns what the end of the run needs to know.
    pub(crate) fn read_parts(&self) -> ReadInput {
        ReadInput {
            total: self.len(),
            bad_lines: self.bad_lines(),
            skipped: self.skipped(),
            has_listed: !self.set.is_empty(),
            streamed: self.streamed.clone(),
        }
    }

    /// Iterates over all targets, those of streams last.
    pub(crate) fn into_targets(mut self) -> Box<dyn Iterator<Item = Target> + Send> {
        let set = std::mem::take(&mut self.set);
        let targets = set.into_targets(self.order, self.shard);
        // A `Chain` would lose the constant-time `nth` of `Targets`.
        if self.streams.is_empty() {
            return Box::new(targets);
        }
        Box::new(targets.chain(self.into_streamed()))
    }

    /// Iterates over the targets of streams only.
    pub(crate) fn into_streamed(self) -> impl Iterator<Item = Target> + Send + 'static {
        let shard = self.shard;
        let rules = self.stream_rules();
        let streamed = Streamed::new(self.streams, rules);
        let streamed = (0_u64..).zip(streamed).filter(move |(index, _)| shard.contains(*index));
        streamed.map(|(_, target)| target)
    }

    fn stream_rules(&self) -> StreamRules {
        StreamRules {
            ports: self.ports.clone(),
            excludes: self.excludes.clone(),
            bad_lines: self.bad_lines(),
            counts: self.streamed.clone(),
        }
    }

    fn why_empty(&self) -> &'static str {
        if self.set.skipped().is_empty() {
            "name one, or read a list with -i FILE (- is stdin)"
        } else {
            ALL_EXCLUDED
        }
    }

    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let options = self.options.clone();
        let Some(file) = open_regular(path)? else {
            let mut stream = Stream::new(List::open(path, options, self.quiet)?);
            if is_file_on_stdin(path) {
                stream.read_first(&self.stream_rules())?;
            }
            self.streams.push(stream);
            return Ok(());
        };
        let mut list = List::new(path.display().to_string(), file, options, self.quiet);
        let (set, ports) = (&mut self.set, &self.ports);
        let mut read = |item: &str, label: Option<&str>| set.add(item, label, ports);
        while list.next_item(&self.bad_lines, &mut read)?.is_some() {}
        list.finish(&self.bad_lines)
    }
}

/// Reads the excludes and resolves their names.
fn read_excludes(check: &Check, options: &InputOptions) -> anyhow::Result<Excludes> {
    let selection = &check.selection;
    let mut excludes = ReadExcludes::default();
    for item in &selection.exclude {
        let added = excludes.add(item);
        added.map_err(|error| argument_error("exclude", item, &error))?;
        excludes.set_origin(|| "--exclude".to_owned());
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
    anyhow::Error::msg(describe_argument(what, item, error))
}
