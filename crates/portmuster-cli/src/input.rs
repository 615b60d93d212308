//! The targets of a run: arguments and files, read whole before anything is sent, then streams.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, anyhow, bail};
use portmuster::{
    Target,
    targets::{ItemError, Lines, Ports, TargetSet, Targets},
};

use crate::args::Check;

/// All that is to be checked.
pub(crate) struct Input {
    set: TargetSet,
    streams: Vec<Stream>,
    ports: Ports,
}

struct Stream {
    name: String,
    lines: Lines<Box<dyn BufRead + Send>>,
}

/// The first line of a stream that could not be read; it ended the input.
#[derive(Debug, Clone, Default)]
pub(crate) struct BadLine(Arc<Mutex<Option<String>>>);

impl BadLine {
    /// What could not be read, and where.
    pub(crate) fn take(&self) -> Option<anyhow::Error> {
        let message = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        message.map(anyhow::Error::msg)
    }

    fn set(&self, message: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    }
}

impl Input {
    /// Reads the arguments and all regular files; opens the rest.
    ///
    /// # Errors
    /// What can't be read, and where.
    pub(crate) fn read(check: &Check) -> anyhow::Result<Self> {
        let mut input =
            Self { set: TargetSet::new(), streams: Vec::new(), ports: check.ports.clone() };
        for item in &check.targets {
            input.add_argument(item)?;
        }
        for path in &check.inputs {
            input.add_file(path)?;
        }
        if input.set.is_empty() && input.streams.is_empty() {
            bail!("there is no target: name one, or read a list with --input FILE");
        }
        Ok(input)
    }

    /// How many targets there are; `None` when a stream is among them.
    pub(crate) fn len(&self) -> Option<u128> {
        self.streams.is_empty().then(|| self.set.len())
    }

    /// The targets, and where to ask whether all of them could be read.
    pub(crate) fn into_targets(self) -> (impl Iterator<Item = Target> + Send + 'static, BadLine) {
        let bad_line = BadLine::default();
        let streamed = Streamed {
            streams: self.streams.into_iter(),
            current: None,
            items: None,
            ports: self.ports,
            bad_line: bad_line.clone(),
        };
        (self.set.into_targets().chain(streamed), bad_line)
    }

    fn add_argument(&mut self, item: &str) -> anyhow::Result<()> {
        self.set.add(item, &self.ports).map_err(|ItemError { column, kind, .. }| {
            anyhow!("target {:?}, column {column}: {kind}", excerpt(item))
        })
    }

    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        if path == Path::new("-") {
            let input = Box::new(BufReader::new(io::stdin()));
            self.streams.push(Stream { name: "standard input".into(), lines: Lines::new(input) });
            return Ok(());
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        let kind = file.metadata().with_context(|| format!("reading {name}"))?.file_type();
        if kind.is_dir() {
            bail!("{name} is a directory; --input reads a file with one target a line");
        }
        if !kind.is_file() {
            let input = Box::new(BufReader::new(file));
            self.streams.push(Stream { name, lines: Lines::new(input) });
            return Ok(());
        }
        let before = self.set.len();
        let mut lines = Lines::new(BufReader::new(file));
        while lines
            .next_item(|item| self.set.add(item, &self.ports))
            .map_err(|error| anyhow!("{name}, {error}"))?
            .is_some()
        {}
        if self.set.len() == before {
            bail!("there is no target in {name}");
        }
        Ok(())
    }
}

/// The targets of streams, a line at a time. The first bad line ends them.
struct Streamed {
    streams: std::vec::IntoIter<Stream>,
    current: Option<(Stream, bool)>,
    items: Option<Targets>,
    ports: Ports,
    bad_line: BadLine,
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
            let name = stream.name.clone();
            let item = stream.lines.next_item(|item| {
                let mut set = TargetSet::new();
                set.add(item, &self.ports).map(|()| set)
            });
            match item {
                Ok(Some(set)) => {
                    *has_targets = true;
                    self.items = Some(set.into_targets());
                }
                Ok(None) if *has_targets => self.current = None,
                Ok(None) => return self.end(format!("there is no target in {name}")),
                Err(error) => return self.end(format!("{name}, {error}")),
            }
        }
    }
}

impl Streamed {
    fn end(&mut self, message: String) -> Option<Target> {
        self.bad_line.set(message);
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
