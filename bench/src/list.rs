//! Targets, as numbers and as a file, and programs that check them.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufWriter, Write},
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    answers::{self, Coverage, Parser, State},
    contest::{Candidate, Ran},
    cost::{NOT_FOUND, Peak},
};

/// Where targets on loopback begin: far from the address that servers listen on.
pub(crate) const LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// Nothing listens there.
pub(crate) const REFUSED: u16 = 1;

/// What is sent there is dropped, where a namespace has been told to.
pub(crate) const SILENT: u16 = 9;

/// Of so many targets in a row, one mixture has the same kinds.
const MIXTURE: usize = 50;

/// How many of a mixture are open; 2 %.
const MIXED_OPEN: usize = 1;

/// How many of a mixture are silent; 8 %. The rest refuses.
const MIXED_SILENT: usize = 4;

/// Targets, one after the other: on each address all ports, then the next address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Ipv4Addr,
    /// The first port, of a mixture that of those who are open.
    pub(crate) port: u16,
    /// Ports of each address: at least one, of a mixture just one.
    pub(crate) ports: u16,
    pub(crate) targets: usize,
    /// Whether targets of every kind are mixed, each kind at a port of its own.
    pub(crate) is_mixed: bool,
    /// So many at the beginning are open; the rest refuses, if it is not at the silent port.
    pub(crate) open_first: usize,
}

impl Span {
    /// Targets where nothing listens, each with an address of its own.
    pub(crate) fn refused(targets: usize) -> Self {
        let (is_mixed, open_first) = (false, 0);
        Self { first: LOOPBACK, port: REFUSED, ports: 1, targets, is_mixed, open_first }
    }

    /// Targets where somebody listens at this port, each with an address of its own.
    pub(crate) fn open(port: u16, targets: usize) -> Self {
        Self { port, open_first: targets, ..Self::refused(targets) }
    }

    /// Of all kinds: 90 % refuse, 8 % are silent, and 2 % are open, at this port.
    pub(crate) fn mixed(port: u16, targets: usize) -> Self {
        Self { port, is_mixed: true, ..Self::refused(targets) }
    }

    /// Targets from this address upwards that never answer.
    pub(crate) fn silent(first: Ipv4Addr, targets: usize) -> Self {
        Self { first, port: SILENT, ..Self::refused(targets) }
    }

    /// The numbers of all.
    pub(crate) fn nths(self) -> Range<usize> {
        0..self.targets
    }

    /// The nth target.
    pub(crate) fn target(self, nth: usize) -> SocketAddr {
        let ports = usize::from(self.ports);
        let address = u32::try_from(nth / ports).unwrap_or(u32::MAX);
        let address = Ipv4Addr::from(u32::from(self.first).wrapping_add(address));
        let port = match (self.is_mixed, self.truth(nth)) {
            (true, State::Refused) => REFUSED,
            (true, State::Silent) => SILENT,
            // Less than `ports`.
            _ => self.port + u16::try_from(nth % ports).unwrap_or(0),
        };
        SocketAddr::from((address, port))
    }

    /// What is true of the nth target.
    pub(crate) fn truth(self, nth: usize) -> State {
        let is_open =
            if self.is_mixed { nth % MIXTURE < MIXED_OPEN } else { nth < self.open_first };
        let is_silent = if self.is_mixed {
            nth % MIXTURE < MIXED_OPEN + MIXED_SILENT
        } else {
            self.port == SILENT && self.ports == 1
        };
        match (is_open, is_silent) {
            (true, _) => State::Open,
            (false, true) => State::Silent,
            (false, false) => State::Refused,
        }
    }

    /// Which of them a target is.
    pub(crate) fn place(self, target: SocketAddr) -> Option<usize> {
        let SocketAddr::V4(v4) = target else { return None };
        let address = u32::from(*v4.ip()).wrapping_sub(u32::from(self.first));
        let port = if self.is_mixed { 0 } else { usize::from(v4.port().checked_sub(self.port)?) };
        let ports = usize::from(self.ports);
        let nth = usize::try_from(address).ok()?.checked_mul(ports)?.checked_add(port)?;
        (port < ports && nth < self.targets && self.target(nth) == target).then_some(nth)
    }

    /// The addresses of all, each once.
    pub(crate) fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        let count = self.targets.div_ceil(usize::from(self.ports));
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (0..count).map(move |nth| Ipv4Addr::from(u32::from(self.first).wrapping_add(nth)))
    }

    /// The ports, as programs take them that check all ports of all addresses.
    pub(crate) fn port_range(self) -> String {
        format!("{}-{}", self.port, self.port + (self.ports - 1))
    }
}

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
        write(&list.path(), span.nths().map(|nth| span.target(nth)))?;
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
    fn targets_are_told_apart() {
        let span = Span::refused(65_537);
        assert_eq!(span.target(0).to_string(), "127.1.0.0:1");
        assert_eq!(span.target(65_535).to_string(), "127.1.255.255:1");
        let place = |nth| span.place(span.target(nth));
        assert_eq!((place(7), place(65_536), place(65_537)), (Some(7), Some(65_536), None));
        assert_eq!(Span { port: 2, ..span }.place(span.target(7)), None);
    }

    #[test]
    fn every_target_of_every_span_has_its_place() {
        let many = Span { ports: 7, port: 100, ..Span::refused(50) };
        assert_eq!((many.addresses().count(), many.port_range().as_str()), (8, "100-106"));
        for span in [many, Span::mixed(4000, 120), Span::open(4000, 3), Span::silent(LOOPBACK, 2)] {
            for nth in span.nths() {
                assert_eq!(span.place(span.target(nth)), Some(nth), "{span:?}");
            }
        }
    }

    #[test]
    fn a_mixture_has_its_shares() {
        let span = Span::mixed(4000, 1000);
        let count = |state| span.nths().filter(|&nth| span.truth(nth) == state).count();
        assert_eq!(count(State::Open), 20);
        assert_eq!(count(State::Silent), 80);
        assert_eq!(count(State::Refused), 900);
        let elsewhere = SocketAddr::from((LOOPBACK, SILENT));
        assert_eq!(span.place(elsewhere), None, "it is open, at another port");
    }

    #[test]
    fn a_command_is_shown_without_folders() {
        let list = List::new(Span::refused(1)).expect("a place for files");
        let mut command = Command::new("/usr/bin/nmap");
        command.arg("-iL").arg(list.path()).arg("a b");
        assert_eq!(list.as_typed(&command), "nmap -iL targets 'a b'");
    }
}
