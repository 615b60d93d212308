//! The targets of a span as files, and candidates that check them.

use std::{
    ffi::OsStr,
    fmt::Display,
    fs::{self, File},
    io::{BufWriter, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    answers::{Accuracy, Coverage, Parser, assess},
    candidate::Candidate,
    cost::{NOT_FOUND, run_with_peak},
    span::Span,
};

/// A folder with the targets of a span, and room for the answers of the programs that check them.
pub(crate) struct List {
    folder: tempfile::TempDir,
    span: Span,
}

/// What a program must print for a run to count.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// States of targets.
    Answers(Parser, Coverage),
    /// This first line.
    Line(String),
}

impl List {
    /// Writes the targets of `span` to files.
    pub(crate) fn new(span: Span) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for a list")?;
        let list = Self { folder, span };
        write_lines(&list.path(), span.numbers().map(|number| span.target(number)))?;
        write_lines(&list.addresses(), span.addresses())?;
        write_lines(&list.empty(), std::iter::empty::<Ipv4Addr>())?;
        Ok(list)
    }

    /// Writes these lines to a file, one for each target of `span`.
    pub(crate) fn with_lines(
        span: Span,
        lines: impl Iterator<Item = impl Display>,
    ) -> Result<Self> {
        let list =
            Self { folder: tempfile::tempdir().context("making a folder for a list")?, span };
        write_lines(&list.path(), lines)?;
        Ok(list)
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// The file with a target per line.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("targets")
    }

    /// The file with an address per line.
    pub(crate) fn addresses(&self) -> PathBuf {
        self.folder.path().join("addresses")
    }

    /// An empty file.
    pub(crate) fn empty(&self) -> PathBuf {
        self.folder.path().join("nothing")
    }

    /// The file that receives the answers.
    pub(crate) fn answers(&self) -> PathBuf {
        self.folder.path().join("answers")
    }

    /// A candidate that runs `command`, which prints its answers on stdout or writes them to
    /// [`answers`](Self::answers) itself.
    pub(crate) fn candidate(
        &self,
        name: impl Into<String>,
        command: Command,
        expected: Expected,
    ) -> Candidate<'_> {
        Candidate {
            name: name.into(),
            pieces: self.span.targets,
            calls: None,
            command: Some(self.as_typed(&command)),
            prepare: Box::new(|| Ok(())),
            run: Box::new(move || self.run(&command).map(Some)),
            check: Box::new(move || self.check(&expected)),
        }
    }

    fn check(&self, expected: &Expected) -> Result<Option<Accuracy>> {
        let answers = fs::read(self.answers()).context("reading answers")?;
        let answers = String::from_utf8_lossy(&answers);
        match expected {
            Expected::Answers(parser, coverage) => {
                assess(&parser(&answers, self.span)?, self.span, *coverage).map(Some)
            }
            Expected::Line(expected) => {
                let line = answers.lines().next().unwrap_or_default();
                ensure!(line == expected, "it printed {line:?} instead of {expected:?}");
                Ok(None)
            }
        }
    }

    /// Runs a command to its end and returns the peak of memory in KiB.
    pub(crate) fn run(&self, command: &Command) -> Result<u64> {
        // A new file each time: ext4 writes a file that was truncated to disk when it is closed
        // (auto_da_alloc), which would add the disk's time to the program's.
        let _ = fs::remove_file(self.answers());
        let stdout = File::create_new(self.answers()).context("making a file for answers")?;
        let errors = self.folder.path().join("errors");
        let stderr = File::create(&errors).context("making a file for errors")?;
        let (status, memory_kib) = run_with_peak(command, stdout, stderr)?;
        let program = command.get_program().display();
        ensure!(
            status.code() != Some(NOT_FOUND),
            "starting {program}: there is no such program; install it (for python3: apt-get install python3), or name another path"
        );
        let errors = fs::read(errors).unwrap_or_default();
        let errors = String::from_utf8_lossy(&errors);
        let last = errors.lines().last().unwrap_or_default();
        ensure!(status.success(), "{program} ended with {status}: {last}");
        Ok(memory_kib)
    }

    /// A command as a person would type it in the folder of the list.
    pub(crate) fn as_typed(&self, command: &Command) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        let word = |word: &OsStr| {
            let word = word.to_string_lossy().replace(&folder, "").replace(source, "bench/");
            let is_plain = !word.is_empty() && !word.contains([' ', '*', '$']);
            if is_plain { word } else { format!("'{word}'") }
        };
        let program = Path::new(command.get_program()).file_name().map_or_else(String::new, word);
        command.get_args().fold(program, |line, argument| line + " " + &word(argument))
    }
}

fn write_lines(path: &Path, lines: impl Iterator<Item = impl Display>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path).context("making a file for a list")?);
    for line in lines {
        writeln!(file, "{line}").context("writing a list")?;
    }
    file.flush().context("writing a list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_shown_without_folders() {
        let list = List::new(Span::refused(1)).expect("a temporary folder");
        let mut command = Command::new("/usr/bin/nmap");
        command.arg("-iL").arg(list.path()).arg("a b");
        assert_eq!(list.as_typed(&command), "nmap -iL targets 'a b'");
    }
}
