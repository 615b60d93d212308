//! What is never to be connected to, read whole and looked up before anything is sent.

use std::{io::BufReader, path::Path};

use anyhow::{anyhow, bail};
use portmuster::{
    ExcludeError, FailedName, Fingerprint,
    targets::{Excludes, InputOptions, ItemError, Lines},
};

use super::{REPORTED_MAX, regular_file};
use crate::terminal;

/// The file that says that nothing is to be excluded.
const NOTHING: &str = "/dev/null";

/// Names beyond which it is said that they are being looked up.
const MANY: usize = 256;

/// Excludes that are being read.
#[derive(Default)]
pub(super) struct ReadExcludes {
    excludes: Excludes,
    print: Fingerprint,
    /// Where each name stands, in the order of [`Excludes::unresolved`].
    places: Vec<String>,
}

impl ReadExcludes {
    /// # Errors
    /// The item can't be read.
    pub(super) fn add(&mut self, item: &str) -> Result<(), ItemError> {
        self.print.add(item.as_bytes()).add(b"\n");
        self.excludes.add(item)
    }

    /// Reads a file, one item a line. A bad line is an error, also with --skip-bad-lines: what it was
    /// to keep from being contacted is not known.
    ///
    /// # Errors
    /// The file or a line can't be read, or the file excludes nothing and is not `/dev/null`.
    pub(super) fn add_file(&mut self, path: &Path, options: &InputOptions) -> anyhow::Result<()> {
        if path == Path::new(NOTHING) {
            return Ok(());
        }
        let name = path.display();
        let Some(file) = regular_file(path)? else {
            bail!(
                "{name} is no regular file; what to exclude is read whole before anything is sent, \
                 so write it to a file first"
            );
        };
        let mut lines = Lines::with_rule(BufReader::new(file), options.line_rule());
        let mut is_empty = true;
        while let Some(()) =
            lines.next_item(|item, _| self.add(item)).map_err(|error| anyhow!("{name}, {error}"))?
        {
            self.came_from(|| format!("{name}, line {}", lines.line()));
            is_empty = false;
        }
        if is_empty {
            bail!(
                "{name} excludes nothing: it has no entry; if nothing is to be excluded, write \
                 --exclude-file {NOTHING}, or leave it out"
            );
        }
        Ok(())
    }

    /// Notes that what was added since the last call stands here.
    pub(super) fn came_from(&mut self, place: impl Fn() -> String) {
        let names = self.excludes.unresolved().len();
        self.places.resize_with(names, place);
    }

    /// Looks up the names. What was read, and the fingerprint of how it is written.
    ///
    /// # Errors
    /// A name can't be looked up.
    pub(super) fn resolve(mut self, quiet: bool) -> anyhow::Result<(Excludes, u64)> {
        let names = self.excludes.unresolved().len();
        if names >= MANY && !quiet {
            terminal::note(format!("looking up the {names} names that are excluded"));
        }
        let resolved = self.excludes.resolve();
        resolved.map_err(|error| self.name_places(&error))?;
        Ok((self.excludes, self.print.sum()))
    }

    fn name_places(&self, error: &ExcludeError) -> anyhow::Error {
        let failed = error.failed();
        let most = usize::try_from(REPORTED_MAX).unwrap_or(usize::MAX);
        let named = failed.iter().take(most).map(|failed| self.name_place(failed));
        let more = failed.len().checked_sub(most).filter(|&more| more > 0);
        let named = named.chain(more.map(|more| format!("and {more} more")));
        let named = named.collect::<Vec<_>>().join("; ");
        anyhow!(
            "{named}; what can't be looked up can't be excluded: correct it, write its addresses \
             instead, or remove it"
        )
    }

    fn name_place(&self, failed: &FailedName) -> String {
        let place = self.places.get(failed.position).map_or("--exclude", String::as_str);
        format!("{place}: {failed}")
    }
}
