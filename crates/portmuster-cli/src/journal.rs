//! The journal: the file that lets a run go on where it was killed.
//!
//! It holds what was asked, how far the run is, and where each output stood at that moment. It is
//! replaced as a whole at every [checkpoint](keeper), after the outputs were synced.
//!
//! Invariant: whatever ends the program or the machine, the file is whole, and every output has at
//! least the rows that it names.

use std::{
    fmt, fs,
    path::{self, PathBuf},
};

use anyhow::{Context, bail};
use portmuster::{Account, Fingerprint, Positions, sink::Mark};
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod asked;
mod file;
mod keeper;

pub(crate) use self::{
    asked::Asked,
    file::JournalFile,
    keeper::{Checkpoint, Keeper},
};
use crate::{
    args::{Check, OutputSpec},
    gate::Found,
    input::Input,
    terminal,
};

/// What a journal begins with; then come the format's version, a fingerprint of what follows the
/// line, and its length.
const MAGIC: &str = "portmuster journal";
/// The version of the format.
const VERSION: u32 = 1;

/// What a journal says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    /// What was asked: all that makes a difference to which rows there are and what they say.
    pub(crate) asked: Asked,
    pub(crate) outputs: Vec<Kept>,
    /// The targets of which everything was written.
    pub(crate) settled: Positions,
    /// The sum over these.
    pub(crate) account: Account,
    /// What was found in these of what must not be found; `None`: the run may find anything.
    pub(crate) found: Option<Found>,
    /// Nothing is left.
    pub(crate) complete: bool,
}

/// An output of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) format: String,
    /// Where it is, from the root on.
    pub(crate) path: String,
    /// Which file it is. Devices have other numbers after a restart; this one stays.
    pub(crate) inode: u64,
    /// Where it stood.
    pub(crate) mark: Mark,
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.format, self.path)
    }
}

/// Why bytes are no journal that could be resumed.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    #[error(
        "it is empty, because its run ended before it began to check: remove it, and repeat the \
         command without --resume"
    )]
    Empty,
    #[error("it is no journal of portmuster")]
    Foreign,
    #[error("it is of version {0} of the format, and this portmuster reads version {VERSION}")]
    OtherVersion(u32),
    #[error("it is damaged: its fingerprint does not fit")]
    Damaged,
}

impl Journal {
    /// As it stands in the file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut body = serde_json::to_vec(self).expect("it has nothing that JSON has not");
        body.push(b'\n');
        let mut bytes = header(&body).into_bytes();
        bytes.append(&mut body);
        bytes
    }

    /// # Errors
    /// It is none, or not whole.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.is_empty() {
            return Err(Unreadable::Empty);
        }
        let line = bytes.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        let begins = line.strip_prefix(MAGIC.as_bytes()).ok_or(Unreadable::Foreign)?;
        let version =
            begins.strip_prefix(b" ").and_then(|rest| rest.split(|&it| it == b' ').next());
        let version = version.and_then(|text| str::from_utf8(text).ok()?.parse().ok());
        match version {
            None => return Err(Unreadable::Damaged),
            Some(VERSION) => {}
            Some(other) => return Err(Unreadable::OtherVersion(other)),
        }
        let body = &bytes[line.len()..];
        if line != header(body).as_bytes() {
            return Err(Unreadable::Damaged);
        }
        serde_json::from_slice(body).map_err(|_| Unreadable::Damaged)
    }
}

fn header(body: &[u8]) -> String {
    format!("{MAGIC} {VERSION} {:016x} {}\n", Fingerprint::of(body), body.len())
}

/// What a run does with its journal.
pub(crate) enum Opened {
    /// It begins.
    Begins(JournalFile),
    /// It goes on, unless the journal says that it is complete.
    GoesOn(JournalFile, Box<Journal>),
}

/// The sum over what is settled, of the sum over what is written.
pub(crate) fn part(mut account: Account, settled: &Positions) -> Account {
    account.targets = account.settled() + account.excluded;
    account.more_addresses = account.targets.saturating_sub(settled.len());
    account
}

/// Opens the journal that the command line asks for, if it does. Nothing is changed when the run
/// can't begin, or can't go on.
///
/// # Errors
/// It exists, or is none, or is that of another run; or the run is one that nothing can resume.
pub(crate) fn open(check: &Check, input: &Input) -> anyhow::Result<Option<Opened>> {
    let Some(path) = &check.journaling.journal else { return Ok(None) };
    let name = path.display();
    refuse_what_is_not_resumable(check, input)?;
    if !check.journaling.resume {
        let file = JournalFile::create(path, check.existing.force)
            .with_context(|| format!("beginning the journal {name}"))?;
        refuse_sharing(&file, check)?;
        return Ok(Some(Opened::Begins(file)));
    }
    let (file, bytes) =
        JournalFile::open(path).with_context(|| format!("resuming from the journal {name}"))?;
    let journal = Journal::from_bytes(&bytes).map_err(anyhow::Error::new).and_then(|journal| {
        journal.fits(check, input)?;
        Ok(Box::new(journal))
    });
    let journal = journal.with_context(|| format!("resuming from the journal {name}"))?;
    Ok(Some(Opened::GoesOn(file, journal)))
}

fn refuse_what_is_not_resumable(check: &Check, input: &Input) -> anyhow::Result<()> {
    if input.len().is_none() {
        bail!(
            "a run that reads a stream can't be resumed; for a --journal write the targets to a \
             file first, and read that: -i FILE"
        );
    }
    let to_stdout = check.outputs.iter().filter(|output| output.file().is_none()).count();
    if to_stdout == check.outputs.len() {
        bail!(
            "rows on stdout can't be taken back, so with --journal they need a file: \
             -o jsonl=FILE"
        );
    }
    if to_stdout > 0 && check.journaling.resume {
        bail!("rows on stdout can't be taken back; resume without the output that has no file");
    }
    if to_stdout > 0 && !check.quiet {
        terminal::note(
            "rows on stdout can't be taken back: should this run have to be resumed, leave that \
             output out",
        );
    }
    Ok(())
}

/// The journal is no input and no output.
fn refuse_sharing(journal: &JournalFile, check: &Check) -> anyhow::Result<()> {
    let outputs = check.outputs.iter().filter_map(OutputSpec::file);
    let inputs = check.inputs.iter().chain(&check.selection.exclude_file).map(PathBuf::as_path);
    for other in outputs.chain(inputs) {
        if journal.is(other) {
            bail!("{} is the journal as well; give each its own file", other.display());
        }
    }
    Ok(())
}

impl Journal {
    /// # Errors
    /// The command line asks for another run; all that differs is told.
    fn fits(&self, check: &Check, input: &Input) -> anyhow::Result<()> {
        let mut differs = self.asked.differences(&Asked::by(check, input));
        let outputs = check.outputs.iter().map(kept_name).collect::<anyhow::Result<Vec<_>>>()?;
        let kept: Vec<_> = self.outputs.iter().map(ToString::to_string).collect();
        if outputs != kept {
            differs.push(format!("outputs were {}, are {}", kept.join(" "), outputs.join(" ")));
        }
        if differs.is_empty() {
            return Ok(());
        }
        bail!("it is of another run, nothing was changed: {}", differs.join("; "))
    }
}

/// An output as journals call it.
fn kept_name(output: &OutputSpec) -> anyhow::Result<String> {
    let Some(path) = output.file() else { return Ok("-".to_owned()) };
    // What is not there is told when it is to be opened.
    let path = fs::canonicalize(path).or_else(|_| path::absolute(path))?;
    Ok(format!("{}={}", output.name(), path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn journal() -> Journal {
        Journal {
            asked: Asked::of([("targets", "3 with fingerprint 00ff".to_owned())]),
            outputs: vec![Kept {
                format: "jsonl".into(),
                path: "/a/b.jsonl".into(),
                inode: 7,
                mark: Mark::Lines { length: 1234 },
            }],
            settled: Positions::from_runs(&[1, 1, 1]).expect("runs"),
            account: Account::default(),
            found: Some(Found::default()),
            complete: false,
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let journal = journal();
        assert_eq!(Journal::from_bytes(&journal.to_bytes()), Ok(journal));
    }

    #[test]
    fn no_damage_goes_unnoticed() {
        let bytes = journal().to_bytes();
        for length in 0..bytes.len() {
            assert!(Journal::from_bytes(&bytes[..length]).is_err(), "cut to {length}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                assert!(Journal::from_bytes(&damaged).is_err(), "bit {bit} of byte {place}");
            }
        }
        assert!(Journal::from_bytes(&[&bytes[..], b"\n"].concat()).is_err(), "more behind it");
    }

    #[test]
    fn what_is_none_is_told_apart() {
        let told = |bytes: &[u8]| Journal::from_bytes(bytes).expect_err("it is none");
        assert_eq!(told(b""), Unreadable::Empty);
        assert_eq!(told(b"{\"schema\":1}\n"), Unreadable::Foreign);
        assert_eq!(told(b"portmuster journal 2 x"), Unreadable::OtherVersion(2));
        assert_eq!(told(b"portmuster journal"), Unreadable::Damaged);
    }
}
