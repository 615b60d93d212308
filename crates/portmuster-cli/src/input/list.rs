//! One list of targets: a file, a pipe or standard input.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context, bail};
use portmuster::targets::{Entries, InputFormat, InputOptions, ItemError, SkippedRecords};

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
    /// Opens a list; `-` is standard input.
    ///
    /// # Errors
    /// The file can't be opened.
    pub(super) fn open(path: &Path, options: InputOptions, quiet: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new("standard input".into(), io::stdin(), options, quiet));
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        Ok(Self::new(name, file, options, quiet))
    }

    /// Reads a list from `input`; messages use `name`.
    pub(super) fn new(
        name: String,
        input: impl Read + Send + 'static,
        options: InputOptions,
        quiet: bool,
    ) -> Self {
        let input: Box<dyn BufRead + Send> = Box::new(BufReader::new(input));
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
        let skipped: Vec<_> = skipped
            .iter()
            .map(|SkippedRecords { count, description, .. }| format!("{count} {description}"))
            .collect();
        let skipped = skipped.join("; ");
        let name = &self.name;
        match (self.has_targets, skipped.is_empty()) {
            (false, true) => bail!("there is no target in {name}"),
            (false, false) => bail!("there is no target in {name}, only {skipped}"),
            (true, true) => {}
            (true, false) if self.quiet => {}
            (true, false) => terminal::note(format!("skipped in {name}: {skipped}")),
        }
        Ok(())
    }
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
