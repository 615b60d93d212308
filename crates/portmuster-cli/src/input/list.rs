//! One list of targets: a file, a pipe or standard input.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::fd::AsFd,
    path::Path,
};

use anyhow::{Context, bail};
use portmuster::targets::{Entries, InputFormat, InputOptions, ItemError};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, Stat, fstat},
};

use super::{bad_lines::BadLines, errors::describe_line};
use crate::terminal;

/// A function that takes an item and its label.
pub(super) type ReadItem<'a, T> = dyn FnMut(&str, Option<&str>) -> Result<T, ItemError> + 'a;

/// A list of targets that is being read.
pub(super) struct List {
    name: String,
    entries: Entries<Box<dyn BufRead + Send>>,
    /// Print only errors.
    quiet: bool,
    has_targets: bool,
    is_announced: bool,
}

impl List {
    /// Opens a list that is read as a stream; `-` is standard input.
    ///
    /// # Errors
    /// The file can't be opened, or its end is known already, and it is empty.
    pub(super) fn open(path: &Path, options: InputOptions, quiet: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Self::open_stream("standard input".into(), io::stdin(), options, quiet);
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        Self::open_stream(name, file, options, quiet)
    }

    fn open_stream(
        name: String,
        stream: impl Read + AsFd + Send + 'static,
        options: InputOptions,
        quiet: bool,
    ) -> anyhow::Result<Self> {
        let mut input = BufReader::new(stream);
        if is_readable(input.get_ref()) {
            let start = input.fill_buf().with_context(|| format!("reading {name}"))?;
            if start.is_empty() {
                bail!(without_target(&name));
            }
        }
        Ok(Self::buffered(name, Box::new(input), options, quiet))
    }

    /// Reads a list from `input`; messages use `name`.
    pub(super) fn new(
        name: String,
        input: impl Read + Send + 'static,
        options: InputOptions,
        quiet: bool,
    ) -> Self {
        Self::buffered(name, Box::new(BufReader::new(input)), options, quiet)
    }

    fn buffered(
        name: String,
        input: Box<dyn BufRead + Send>,
        options: InputOptions,
        quiet: bool,
    ) -> Self {
        let entries = Entries::new(input, options);
        Self { name, entries, quiet, has_targets: false, is_announced: false }
    }

    /// Returns what `read` makes of the next item; `None`: the list has ended.
    ///
    /// # Errors
    /// A line can't be read and must not be skipped.
    pub(super) fn next_item<T>(
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
                Err(error) if bad_lines.try_skip(&self.name, &error) => {}
                Err(error) => bail!("{}, {}", self.name, describe_line(&error)),
            }
        }
    }

    /// Prints the detected format once, unless it is a plain list or `--input-format` is given.
    fn announce(&mut self) {
        let Some(format) = self.entries.format().filter(|_| !self.is_announced) else { return };
        self.is_announced = true;
        if format != InputFormat::List && !self.quiet && !self.entries.is_format_given() {
            let name = &self.name;
            terminal::note(format!(
                "reading {name} as {format}; if that is wrong, use --input-format"
            ));
        }
    }

    /// Reports records that are no targets, once the list has been read to its end.
    ///
    /// # Errors
    /// The list contains no target.
    pub(super) fn finish(&self, bad_lines: &BadLines) -> anyhow::Result<()> {
        let skipped = self.entries.skipped_records();
        bad_lines.add_lost(skipped.iter().filter(|it| it.hides_targets).map(|it| it.count).sum());
        let skipped: Vec<_> = skipped.iter().map(ToString::to_string).collect();
        let skipped = skipped.join("; ");
        let name = &self.name;
        match (self.has_targets, skipped.is_empty()) {
            (false, true) => bail!(without_target(name)),
            (false, false) => bail!("{}, only {skipped}", without_target(name)),
            (true, true) => {}
            (true, false) if self.quiet => {}
            (true, false) => terminal::note(format!("skipped in {name}: {skipped}")),
        }
        Ok(())
    }
}

/// Returns the error of a list without targets.
fn without_target(name: &str) -> String {
    format!("there is no target in {name}")
}

/// Returns whether reading would return at once: there are bytes, or the end was reached.
fn is_readable(stream: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())) == Ok(1)
}

/// Returns whether standard input is a regular file. Reading it never waits for another program.
pub(super) fn is_file_on_stdin(path: &Path) -> bool {
    let is_file = |found: Stat| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
    path == Path::new("-") && fstat(io::stdin()).is_ok_and(is_file)
}

/// Opens a regular file; `None`: the path is a pipe or a device, which is read as a stream.
///
/// # Errors
/// The path is a directory or can't be opened.
pub(super) fn open_regular(path: &Path) -> anyhow::Result<Option<File>> {
    if path == Path::new("-") {
        return Ok(None);
    }
    let name = path.display();
    let kind = path.metadata().with_context(|| format!("opening {name}"))?.file_type();
    if kind.is_dir() {
        bail!("{name} is a directory: name a file with one target per line");
    }
    if !kind.is_file() {
        return Ok(None);
    }
    File::open(path).with_context(|| format!("opening {name}")).map(Some)
}
