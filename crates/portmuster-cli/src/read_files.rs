//! The files that a command reads, and must therefore not write to.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::bail;

use crate::{
    args::Check,
    file_identity::{Identity, redirected, regular_at},
};

/// A file that the command reads.
#[derive(Debug)]
struct ReadFile {
    name: String,
    /// Its role, with an article.
    role: &'static str,
    /// `None`: standard input.
    path: Option<PathBuf>,
    identity: Identity,
}

/// The regular files that a command reads. It must not write to any of them.
#[derive(Debug, Default)]
pub(crate) struct ReadFiles(Vec<ReadFile>);

impl ReadFiles {
    /// Returns the files that `check` reads.
    pub(crate) fn of(check: &Check) -> Self {
        let mut files = Self::default();
        check.inputs.iter().for_each(|path| files.add(path, "an input"));
        check.selection.exclude_file.iter().for_each(|path| files.add(path, "an exclude file"));
        for path in &check.host_keys.known_hosts {
            files.add(path, "a known_hosts file");
        }
        check.config_file.iter().for_each(|path| files.add(path, "the configuration file"));
        check.recog.files().for_each(|path| files.add(path, "a file of fingerprints"));
        files
    }

    /// Adds a file with its role; `-` is standard input.
    ///
    /// Pipes and devices are ignored, because writing to them overwrites nothing.
    pub(crate) fn add(&mut self, path: &Path, role: &'static str) {
        let file = if path == Path::new("-") {
            redirected(&io::stdin()).map(|file| ("standard input".into(), None, file.identity))
        } else {
            let name = || path.display().to_string();
            regular_at(path).map(|identity| (name(), Some(path.to_owned()), identity))
        };
        let file = file.map(|(name, path, identity)| ReadFile { name, role, path, identity });
        self.0.extend(file);
    }

    /// Returns the paths of the files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter_map(|file| file.path.as_deref())
    }

    /// Refuses to write to one of these files.
    ///
    /// # Errors
    /// The identity is that of one of them.
    pub(crate) fn refuse(&self, identity: Identity) -> anyhow::Result<()> {
        match self.0.iter().find(|file| file.identity == identity) {
            Some(file) if file.role == "a run" => {
                bail!("it is the run that is read: choose another file")
            }
            Some(file) => bail!("the run reads it as {}: choose another file", file.role),
            None => Ok(()),
        }
    }

    /// Refuses to write to standard output if it is one of these files.
    ///
    /// # Errors
    /// Standard output is one of them.
    pub(crate) fn refuse_stdout(&self) -> anyhow::Result<()> {
        let Some(stdout) = redirected(&io::stdout()) else { return Ok(()) };
        match self.0.iter().find(|file| file.identity == stdout.identity) {
            Some(ReadFile { name, role, .. }) => {
                bail!(
                    "standard output is redirected to {name}, which is read as {role}: choose \
                     another file"
                )
            }
            None => Ok(()),
        }
    }
}
