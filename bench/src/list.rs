//! Targets, as numbers and as a file, and programs that check them.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufWriter, Write},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    answers::{self, Coverage, Parser},
    contest::{Candidate, Ran},
    cost::{NOT_FOUND, Peak},
    span::Span,
};

/// The targets of programs, and a place for their answers.
pub(crate) struct List {
    folder: tempfile::TempDir,
    span: Span,
}

impl List {
    /// # Errors
    /// The files can't be written.
    pub(crate) fn new(span: Span) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for a list")?;
        let list = Self { folder, span };
        write(&list.path(), span.numbers().map(|number| span.target(number)))?;
        write(&list.addresses(), span.addresses())?;
        write(&list.nothing(), std::iter::empty::<Ipv4Addr>())?;
        Ok(list)
    }

    /// The file, with a target a line.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("targets")
    }

    /// The addresses alone.
    pub(crate) fn addresses(&self) -> PathBuf {
        self.folder.path().join("addresses")
    }

    /// An empty file.
    pub(crate) fn nothing(&self) -> PathBuf {
        self.folder.path().join("nothing")
    }

    /// The targets in it.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// Where answers are looked for.
    pub(crate) fn answers(&self) -> PathBuf {
        self.folder.path().join("answers")
    }

    /// What a program says beside its answers.
    fn complaints(&self) -> PathBuf {
        self.folder.path().join("complaints")
    }

    fn last_complaint(&self) -> String {
        let complaints = fs::read(self.complaints()).unwrap_or_default();
        let complaints = String::from_utf8_lossy(&complaints);
        complaints.lines().last().unwrap_or_default().to_owned()
    }

    /// A program that checks the list, and answers on stdout if it does not write the file itself.
    pub(crate) fn candidate(
        &self,
        name: String,
        command: Command,
        coverage: Coverage,
        parser: Parser,
    ) -> Candidate<'_> {
        let shown = self.as_typed(&command);
        let run = move || -> Result<Ran> {
            let answers = self.answers();
            // A new one each time: what is written over is written out when it is closed (ext4's
            // auto_da_alloc), which would be the disk's time and not the program's.
            let _ = fs::remove_file(&answers);
            let file = File::create_new(&answers).context("making a file for answers")?;
            let peak = Peak::of(&command)?;
            let complaints = File::create(self.complaints()).context("making a file")?;
            let mut watched = peak.command();
            let status = watched.stdin(Stdio::null()).stdout(file).stderr(complaints).status();
            let status = status.context("starting a program that is measured")?;
            let program = command.get_program().display();
            ensure!(
                status.code() != Some(NOT_FOUND),
                "starting {program}: there is no such program; install it (for python3: apt-get install python3), or say where it is"
            );
            ensure!(status.success(), "{program} ended with {status}: {}", self.last_complaint());
            let span = self.span;
            let check = Box::new(move || {
                let answers = fs::read(&answers).context("reading answers")?;
                let heard = parser(&String::from_utf8_lossy(&answers), span)?;
                answers::judge(&heard, span, coverage).map(Some)
            });
            Ok(Ran { check, memory_kib: Some(peak.kib()?) })
        };
        let pieces = self.span.targets;
        Candidate { name, pieces, calls: None, command: Some(shown), run: Box::new(run) }
    }

    /// A command as a person would type it, beside the files.
    pub(crate) fn as_typed(&self, command: &Command) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        let word = |word: &OsStr| {
            let word = word.to_string_lossy().replace(&folder, "").replace(source, "bench/");
            if word.is_empty() || word.contains([' ', '*', '$']) {
                format!("'{word}'")
            } else {
                word
            }
        };
        let program = PathBuf::from(command.get_program());
        let program = program.file_name().map_or_else(String::new, word);
        command.get_args().fold(program, |line, argument| line + " " + &word(argument))
    }
}

fn write(path: &PathBuf, lines: impl Iterator<Item = impl std::fmt::Display>) -> Result<()> {
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
    fn a_command_is_shown_without_folders() {
        let list = List::new(Span::refused(1)).expect("a place for files");
        let mut command = Command::new("/usr/bin/nmap");
        command.arg("-iL").arg(list.path()).arg("a b");
        assert_eq!(list.as_typed(&command), "nmap -iL targets 'a b'");
    }
}
