//! A list of targets as a file, and programs that check it.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufWriter, ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};

use crate::contest::{Check, Contestant};

/// Where the targets begin: loopback, and far from the address that servers listen on.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
/// Nothing listens there.
const REFUSED: u16 = 1;

/// Targets that each have an address of their own, one after the other: on loopback up to the
/// sixteen millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) port: u16,
    pub(crate) targets: usize,
}

impl Span {
    /// Targets where nothing listens.
    pub(crate) fn refused(targets: usize) -> Self {
        Self { port: REFUSED, targets }
    }

    /// The nth target.
    pub(crate) fn target(self, nth: usize) -> SocketAddr {
        let nth = u32::try_from(nth).unwrap_or(u32::MAX);
        SocketAddr::from((Ipv4Addr::from(u32::from(FIRST).wrapping_add(nth)), self.port))
    }

    /// Which of them a target is.
    pub(crate) fn place(self, target: SocketAddr) -> Option<usize> {
        let SocketAddr::V4(target) = target else { return None };
        let nth = usize::try_from(u32::from(*target.ip()).wrapping_sub(u32::from(FIRST))).ok()?;
        (target.port() == self.port && nth < self.targets).then_some(nth)
    }
}

/// The targets of programs, and a place for their answers.
pub(crate) struct List {
    folder: tempfile::TempDir,
    span: Span,
}

/// What a line of a program's answers says: the target, and whether it was found as it is.
pub(crate) type Read = fn(&str) -> Option<(SocketAddr, bool)>;

impl List {
    /// # Errors
    /// The file can't be written.
    pub(crate) fn new(span: Span) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for a list")?;
        let list = Self { folder, span };
        let file = File::create(list.path()).context("making a file for a list")?;
        let mut file = BufWriter::new(file);
        for nth in 0..span.targets {
            writeln!(file, "{}", span.target(nth)).context("writing a list")?;
        }
        file.flush().context("writing a list")?;
        Ok(list)
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("targets")
    }

    /// The targets in it.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// Where answers are looked for.
    pub(crate) fn answers(&self) -> PathBuf {
        self.folder.path().join("answers")
    }

    /// A program that checks the list, and answers on stdout if it does not write the file itself.
    pub(crate) fn contestant(
        &self,
        name: String,
        mut command: Command,
        read: Read,
    ) -> Contestant<'_> {
        let run = move || -> Result<Check> {
            let answers = self.answers();
            let file = File::create(&answers).context("making a file for answers")?;
            let status = command.stdin(Stdio::null()).stdout(file).status();
            let status = status.map_err(|error| not_started(&command, error))?;
            ensure!(status.success(), "{} ended with {status}", command.get_program().display());
            let span = self.span;
            Ok(Box::new(move || {
                let answers = fs::read_to_string(answers).context("reading answers")?;
                look(&answers, span, read)
            }))
        };
        Contestant { name, pieces: self.span.targets, calls: None, run: Box::new(run) }
    }
}

/// Whether every target was found as it is, once.
fn look(answers: &str, span: Span, read: Read) -> Result<()> {
    let mut found = HashSet::new();
    for line in answers.lines() {
        match read(line) {
            Some((target, true)) if span.place(target).is_some() => {
                ensure!(found.insert(target), "there are two answers for {target}");
            }
            _ => bail!("this is not the answer for a target of the list: {line}"),
        }
    }
    let (found, targets) = (found.len(), span.targets);
    ensure!(found == targets, "there are answers for {found} of {targets} targets");
    Ok(())
}

fn not_started(command: &Command, error: std::io::Error) -> Error {
    let program = command.get_program().display();
    match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "starting {program}: there is no such program; install it (for python3: apt-get install python3), or say where it is"
        ),
        _ => Error::new(error).context(format!("starting {program}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_apart() {
        let span = Span::refused(65_537);
        assert_eq!(span.target(0).to_string(), "127.1.0.0:1");
        assert_eq!(span.target(65_535).to_string(), "127.1.255.255:1");
        let place = |nth| span.place(span.target(nth));
        assert_eq!((place(7), place(65_536), place(65_537)), (Some(7), Some(65_536), None));
        assert_eq!(Span { port: 2, ..span }.place(span.target(7)), None);
    }

    #[test]
    fn every_target_is_to_be_found_once() {
        let read: Read = |line| Some((line.strip_suffix('!')?.parse().ok()?, true));
        let error =
            |answers| look(answers, Span::refused(2), read).expect_err("it is wrong").to_string();
        assert!(look("127.1.0.1:1!\n127.1.0.0:1!\n", Span::refused(2), read).is_ok());
        assert_eq!(error("127.1.0.1:1!\n"), "there are answers for 1 of 2 targets");
        assert_eq!(error("127.1.0.1:1!\n127.1.0.1:1!\n"), "there are two answers for 127.1.0.1:1");
        assert!(error("127.1.0.2:1!\n").starts_with("this is not the answer"));
        assert!(error("127.1.0.0:1\n").starts_with("this is not the answer"));
    }

    #[test]
    fn who_has_no_python_is_told_what_to_install() {
        let list = List::new(Span::refused(1)).expect("a place for files");
        let mut contestant =
            list.contestant(String::new(), Command::new("no-such-python"), |_| None);
        let error = (contestant.run)().err().expect("there is no such program").to_string();
        assert!(error.contains("no-such-python") && error.contains("apt-get install"), "{error}");
    }
}
