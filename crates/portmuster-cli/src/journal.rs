//! The journal: the file that lets a run go on where it was killed.
//!
//! It holds what was asked, how far the run is, and where each output stood at that moment. It is
//! replaced as a whole at every [checkpoint](checkpoint_writer), after the outputs were synced.
//!
//! Invariant: whatever ends the program or the machine, the file is whole, and every output has at
//! least the rows that it names.

use std::{
    fmt, fs,
    path::{self, PathBuf},
};

use anyhow::{Context, bail};
use portmuster::{Account, Positions, sink::ResumePoint, targets::WALK_VERSION};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use twox_hash::XxHash3_128;

mod checkpoint_writer;
mod file;
mod run_identity;

pub(crate) use self::{
    checkpoint_writer::{Checkpoint, CheckpointWriter},
    file::{JournalFile, is_temporary},
    run_identity::RunIdentity,
};
use crate::{
    args::{Check, OutputSpec},
    gate::Found,
    input::Input,
    terminal,
};

/// What a journal begins with. Then come the version of the format, that of the program, a
/// [checksum] of the latter and of what follows the line, and the length of what follows.
const MAGIC: &str = "portmuster journal";
/// The version of the format. Format 1 did not name the program, format 2 not the walk.
const VERSION: u32 = 3;
/// The version of this program. Another may judge what servers say by other rules, so none but the
/// one that began a run goes on with it.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// The version that wrote format 1.
const PROGRAM_OF_FORMAT_1: &str = "0.1.0";
/// Letters that the version of a program may have in a message.
const PROGRAM_MAX: usize = 32;

/// What a journal says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    /// The id of the run, which its outputs have as well until it is complete.
    pub(crate) run: String,
    /// The [version](WALK_VERSION) of the order to which the positions belong.
    pub(crate) walk: u32,
    /// What was asked: all that makes a difference to which rows there are and what they say.
    #[serde(rename = "asked")]
    pub(crate) identity: RunIdentity,
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
    pub(crate) mark: ResumePoint,
    /// The [checksum] of what stands before the mark in a file, as far as it is looked at.
    pub(crate) before: Option<String>,
    /// Whether the file has the id of the run.
    pub(crate) has_trace: bool,
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.format, self.path)
    }
}

/// Why bytes are no journal that could be resumed.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    #[error("it is no journal of portmuster")]
    Foreign,
    #[error(
        "it was written by portmuster {0}, and this is {PROGRAM} with journals of format {VERSION}: \
         resume with that version, or remove it and begin anew"
    )]
    WrittenBy(String),
    #[error(
        "its format is {0}, and this portmuster ({PROGRAM}) reads format {VERSION}: resume with the \
         version that has written it, or remove it and begin anew"
    )]
    OtherFormat(u32),
    #[error("it is damaged: its checksum does not fit")]
    Damaged,
    #[error("it is damaged: its numbers contradict each other")]
    Contradictory,
    #[error(
        "its run walks its targets in order {0}, and this portmuster ({PROGRAM}) knows order {WALK_VERSION}: \
         resume with the build that has written it, or remove it and begin anew"
    )]
    OtherWalk(u32),
}

/// Tells any two texts apart that differ by mistake: XXH3 of 128 bits
/// (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>), in hexadecimal digits. It is no
/// defence against people.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    format!("{:032x}", XxHash3_128::oneshot(bytes))
}

impl Journal {
    /// As it stands in the file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut body = serde_json::to_vec(self).expect("it has nothing that JSON has not");
        body.push(b'\n');
        let mut bytes = header(PROGRAM, &body).into_bytes();
        bytes.append(&mut body);
        bytes
    }

    /// # Errors
    /// It is none, or not whole.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let line = bytes.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        let begins = line.strip_prefix(MAGIC.as_bytes()).ok_or(Unreadable::Foreign)?;
        let mut words = begins.trim_ascii_end().split(|&byte| byte == b' ').skip(1);
        let format = words.next().and_then(|text| str::from_utf8(text).ok()?.parse().ok());
        let program = words.next().and_then(version);
        let body = &bytes[line.len()..];
        match (format, program) {
            (None, _) | (Some(VERSION), None) => Err(Unreadable::Damaged),
            (Some(1), _) => Err(Unreadable::WrittenBy(PROGRAM_OF_FORMAT_1.to_owned())),
            (Some(VERSION), Some(program)) if line != header(program, body).as_bytes() => {
                Err(Unreadable::Damaged)
            }
            (Some(VERSION), Some(PROGRAM)) => {
                let journal: Self =
                    serde_json::from_slice(body).map_err(|_| Unreadable::Damaged)?;
                journal.check()?;
                Ok(journal)
            }
            (Some(format), None | Some(PROGRAM)) => Err(Unreadable::OtherFormat(format)),
            (Some(_), Some(program)) => Err(Unreadable::WrittenBy(program.to_owned())),
        }
    }

    /// # Errors
    /// Its walk is another, or no run comes to what it says.
    fn check(&self) -> Result<(), Unreadable> {
        if self.walk != WALK_VERSION {
            return Err(Unreadable::OtherWalk(self.walk));
        }
        let account = &self.account;
        let is_sound = self.outputs.iter().all(|output| output.mark.is_sound())
            && account.is_sound()
            && account.settled() + account.excluded == account.targets
            && account.targets == self.settled.len().saturating_add(account.more_addresses);
        // `None`: nothing was looked for, or nothing was seen yet.
        let found = self.found.as_ref();
        if is_sound && found.is_none_or(|found| found.is_sound(account)) {
            return Ok(());
        }
        Err(Unreadable::Contradictory)
    }
}

fn header(program: &str, body: &[u8]) -> String {
    let checksum = checksum(&[program.as_bytes(), b"\n", body].concat());
    format!("{MAGIC} {VERSION} {program} {checksum} {}\n", body.len())
}

/// The version of a program, in a word that may be anything.
fn version(word: &[u8]) -> Option<&str> {
    let word = str::from_utf8(word).ok()?;
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ".+-".contains(letter);
    let is_version = word.len() <= PROGRAM_MAX && word.contains('.');
    (is_version && word.chars().all(is_letter)).then_some(word)
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

/// Opens the journal that the command line asks for, if it does. A run that is to be resumed begins
/// where the journal is empty or not there. Nothing is changed when it can't begin, or can't go on.
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
    let (file, bytes) = JournalFile::open_or_create(path)
        .with_context(|| format!("resuming from the journal {name}"))?;
    if bytes.is_empty() {
        refuse_sharing(&file, check)?;
        return Ok(Some(Opened::Begins(file)));
    }
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
        let mut differs = self.identity.differences(&RunIdentity::by(check, input));
        let outputs = check.outputs.iter().map(kept_name).collect::<anyhow::Result<Vec<_>>>()?;
        let kept: Vec<_> = self.outputs.iter().map(ToString::to_string).collect();
        if outputs != kept {
            differs.push(format!("outputs were {}, are {}", kept.join(" "), outputs.join(" ")));
        }
        if !differs.is_empty() {
            bail!("it is of another run, nothing was changed: {}", differs.join("; "));
        }
        let targets = input.len().unwrap_or_default();
        if self.settled.end() > targets
            || self.complete && u128::from(self.settled.len()) != targets
        {
            return Err(Unreadable::Contradictory.into());
        }
        Ok(())
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
    use std::time::Duration;

    use super::*;

    pub(crate) fn journal() -> Journal {
        let mut account = Account::default();
        (account.targets, account.excluded) = (2, 2);
        Journal {
            run: "00ff".into(),
            walk: WALK_VERSION,
            identity: RunIdentity::of([("targets", "3 with fingerprint 00ff".to_owned())]),
            outputs: vec![Kept {
                format: "jsonl".into(),
                path: "/a/b.jsonl".into(),
                inode: 7,
                mark: ResumePoint::Lines { length: 1234 },
                before: Some(checksum(b"{}\n")),
                has_trace: true,
            }],
            settled: Positions::from_runs(&[1, 1, 1]).expect("runs"),
            account,
            found: Some(Found::default()),
            complete: false,
        }
    }

    #[test]
    fn forged_numbers_are_refused() {
        type Forge = fn(&mut Journal);

        let forged: [Forge; 10] = [
            |journal| journal.account.elapsed = Duration::MAX,
            |journal| journal.account.targets = u64::MAX,
            |journal| journal.account.targets = 3,
            |journal| journal.account.more_addresses = u64::MAX,
            |journal| journal.account.excluded = u64::MAX,
            |journal| journal.account.faults = u64::MAX,
            |journal| journal.settled = Positions::from_runs(&[u64::MAX >> 1]).expect("runs"),
            |journal| journal.settled = Positions::new(),
            |journal| journal.found = Some(forged_found()),
            |journal| {
                journal.outputs[0].mark =
                    ResumePoint::Xml { length: 8, started: i64::MAX, up: 0, hosts: 0 };
            },
        ];
        for (place, forge) in forged.into_iter().enumerate() {
            let mut journal = journal();
            forge(&mut journal);
            let read = Journal::from_bytes(&journal.to_bytes());
            assert_eq!(read, Err(Unreadable::Contradictory), "{place}");
        }
        let mut journal = journal();
        journal.walk += 1;
        let read = Journal::from_bytes(&journal.to_bytes());
        assert_eq!(read, Err(Unreadable::OtherWalk(WALK_VERSION + 1)));
    }

    fn forged_found() -> Found {
        let found = serde_json::to_string(&Found::default()).expect("it is JSON");
        serde_json::from_str(&found.replace("\"seen\":0", "\"seen\":18446744073709551615"))
            .expect("it has these fields")
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
        assert_eq!(told(b"{\"schema\":1}\n"), Unreadable::Foreign);
        for damaged in ["", " ", " x", " 3", " 3 x", " 3 0.1.0", " 3 0.1.0 00ff 7\n{}"] {
            let damaged = format!("{MAGIC}{damaged}");
            assert_eq!(told(damaged.as_bytes()), Unreadable::Damaged, "{damaged}");
        }
        let written_by = |program: &str| Unreadable::WrittenBy(program.to_owned());
        assert_eq!(told(b"portmuster journal 1 00ff00ff00ff00ff 3\n{}\n"), written_by("0.1.0"));
        assert_eq!(told(b"portmuster journal 4 7.3.0-rc.1 x\n"), written_by("7.3.0-rc.1"));
        let own = format!(" {PROGRAM}");
        for word in ["", " \x1b[2J", " 12", &format!(" 1.{}", "0".repeat(99)), &own] {
            let other = format!("{MAGIC} 4{word}\n");
            assert_eq!(told(other.as_bytes()), Unreadable::OtherFormat(4), "{other:?}");
        }
    }

    #[test]
    fn journal_of_another_version_names_the_version_to_resume_with() {
        let journal = journal().to_bytes();
        let end = journal.iter().position(|&byte| byte == b'\n').expect("it has a header");
        let mut other = header("7.3.0", &journal[end + 1..]).into_bytes();
        other.extend(&journal[end + 1..]);
        let error = Journal::from_bytes(&other).expect_err("it is of another version");
        let told = error.to_string();
        assert!(told.starts_with("it was written by portmuster 7.3.0, and this is 0."), "{told}");
        assert!(
            told.ends_with(": resume with that version, or remove it and begin anew"),
            "{told}"
        );
        *other.last_mut().expect("it has bytes") ^= 1;
        assert_eq!(Journal::from_bytes(&other), Err(Unreadable::Damaged));
    }
}
