//! Addresses that the run must never connect to, read and resolved before the run starts.

use std::{io::BufReader, path::Path};

use anyhow::{anyhow, bail};
use portmuster::{
    ExcludeError, FailedName,
    targets::{Excludes, InputOptions, ItemError, Lines},
};

use super::{bad_lines::REPORTED_MAX, errors::describe_line, list::open_regular};
use crate::terminal;

/// The exclude file that may be empty.
const EMPTY_FILE: &str = "/dev/null";

/// Number of names from which on a message says that they are being resolved.
const MANY_NAMES: usize = 256;

/// Excludes while they are being read.
#[derive(Default)]
pub(super) struct ReadExcludes {
    excludes: Excludes,
    /// The origin of each name, in the order of [`Excludes::unresolved`].
    origins: Vec<String>,
}

impl ReadExcludes {
    /// Adds an item.
    ///
    /// # Errors
    /// The item can't be parsed.
    pub(super) fn add(&mut self, item: &str) -> Result<(), ItemError> {
        self.excludes.add(item)
    }

    /// Reads a file with one item per line.
    ///
    /// A bad line is an error even with `--skip-bad-lines`, because the run might connect to the
    /// address that the line was meant to exclude.
    ///
    /// # Errors
    /// The file or a line can't be read, or the file has no entry and is not `/dev/null`.
    pub(super) fn add_file(&mut self, path: &Path, options: &InputOptions) -> anyhow::Result<()> {
        if path == Path::new(EMPTY_FILE) {
            return Ok(());
        }
        let name = path.display();
        let Some(file) = open_regular(path)? else {
            bail!(
                "{name} is no regular file: an exclude file is read completely before the run starts, \
                 so write its entries to a regular file"
            );
        };
        let mut lines = Lines::with_rule(BufReader::new(file), options.line_rule());
        let mut is_empty = true;
        while let Some(()) = lines
            .next_item(|item, _| self.add(item))
            .map_err(|error| anyhow!("{name}, {}", describe_line(&error)))?
        {
            self.set_origin(|| format!("{name}, line {}", lines.line()));
            is_empty = false;
        }
        if is_empty {
            bail!(
                "{name} has no entry: to exclude nothing, use --exclude-file {EMPTY_FILE} or remove \
                 the option"
            );
        }
        Ok(())
    }

    /// Sets the origin of the names that were added since the last call.
    pub(super) fn set_origin(&mut self, origin: impl Fn() -> String) {
        let names = self.excludes.unresolved().len();
        self.origins.resize_with(names, origin);
    }

    /// Resolves the names and returns the excludes.
    ///
    /// # Errors
    /// A name can't be resolved.
    pub(super) fn resolve(mut self, quiet: bool) -> anyhow::Result<Excludes> {
        let names = self.excludes.unresolved().len();
        if names >= MANY_NAMES && !quiet {
            terminal::note(format!("resolving {names} excluded names"));
        }
        let resolved = self.excludes.resolve();
        resolved.map_err(|error| self.describe_failures(&error))?;
        Ok(self.excludes)
    }

    fn describe_failures(&self, error: &ExcludeError) -> anyhow::Error {
        let failed = error.failed();
        let most = usize::try_from(REPORTED_MAX).unwrap_or(usize::MAX);
        let listed = failed.iter().take(most).map(|failed| self.describe_failure(failed));
        let more = failed.len().checked_sub(most).filter(|&more| more > 0);
        let listed = listed.chain(more.map(|more| format!("and {more} more")));
        let listed = listed.collect::<Vec<_>>().join("; ");
        anyhow!(
            "{listed}; a name must be resolved to be excluded: correct it, replace it with its \
             addresses, or remove it"
        )
    }

    fn describe_failure(&self, failed: &FailedName) -> String {
        let origin = self.origins.get(failed.position).map_or("--exclude", String::as_str);
        format!("{origin}: {failed}")
    }
}
