//! The content of a journal, and its encoding with a header and a checksum.

use portmuster::{Account, Positions, gates::GateState, targets::WALK_VERSION};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::run_identity::RunIdentity;
use crate::{checksum::checksum, output::SavedOutput};

/// The first word of a journal. The rest of the first line is the version of the format, the
/// version of the program, the [checksum] of the latter and the body, and the length of the body.
pub(super) const MAGIC: &str = "portmuster journal";
/// The version of the format. Format 1 lacks the version of the program, format 2 the walk.
const VERSION: u32 = 3;
/// The version of this program. Only this version resumes the run, because another one may judge
/// servers by other rules.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// The version of the program that wrote format 1.
const PROGRAM_OF_FORMAT_1: &str = "0.1.0";
/// Maximum length of a program version that a message quotes.
const PROGRAM_MAX: usize = 32;

/// The state of a run at a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    /// The id of the run, with which its outputs are tagged until it is complete.
    pub(crate) run: String,
    /// The [version](WALK_VERSION) of the target order to which the positions belong.
    pub(crate) walk: u32,
    /// All settings that affect which rows the run writes and what they contain.
    #[serde(rename = "asked")]
    pub(crate) identity: RunIdentity,
    pub(crate) outputs: Vec<SavedOutput>,
    /// The targets whose rows are written completely.
    pub(crate) settled: Positions,
    /// The sum over the settled targets.
    pub(crate) account: Account,
    /// The state of the gates after the settled targets; `None`: the run has no gates.
    #[serde(rename = "found")]
    pub(crate) gate: Option<GateState>,
    /// Whether every target is settled.
    pub(crate) complete: bool,
}

/// Why bytes are no journal from which a run could resume.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum JournalError {
    #[error("it is not a portmuster journal")]
    NotAJournal,
    #[error(
        "it was written by portmuster {0}, but this is {PROGRAM} with journal format {VERSION}: resume \
         with that version, or remove the journal and start again"
    )]
    WrittenBy(String),
    #[error(
        "its format is {0}, but portmuster {PROGRAM} reads format {VERSION}: resume with the version \
         that wrote it, or remove the journal and start again"
    )]
    OtherFormat(u32),
    #[error("it is damaged: the checksum is wrong")]
    Damaged,
    #[error("it is damaged: its numbers are inconsistent")]
    Inconsistent,
    #[error(
        "its target order is version {0}, but portmuster {PROGRAM} uses version {WALK_VERSION}: resume with \
         the build that wrote it, or remove the journal and start again"
    )]
    OtherWalk(u32),
}

impl Journal {
    /// Encodes the journal for its file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut body = serde_json::to_vec(self).expect("the journal is representable in JSON");
        body.push(b'\n');
        let mut bytes = header(PROGRAM, &body).into_bytes();
        bytes.append(&mut body);
        bytes
    }

    /// Decodes a journal.
    ///
    /// # Errors
    /// The bytes are no journal, are damaged, or were written by another version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, JournalError> {
        let line = bytes.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        let begins = line.strip_prefix(MAGIC.as_bytes()).ok_or(JournalError::NotAJournal)?;
        let mut words = begins.trim_ascii_end().split(|&byte| byte == b' ').skip(1);
        let format = words.next().and_then(|text| str::from_utf8(text).ok()?.parse().ok());
        let program = words.next().and_then(version);
        let body = &bytes[line.len()..];
        match (format, program) {
            (None, _) | (Some(VERSION), None) => Err(JournalError::Damaged),
            (Some(1), _) => Err(JournalError::WrittenBy(PROGRAM_OF_FORMAT_1.to_owned())),
            (Some(VERSION), Some(program)) if line != header(program, body).as_bytes() => {
                Err(JournalError::Damaged)
            }
            (Some(VERSION), Some(PROGRAM)) => {
                let journal: Self =
                    serde_json::from_slice(body).map_err(|_| JournalError::Damaged)?;
                journal.check()?;
                Ok(journal)
            }
            (Some(format), None | Some(PROGRAM)) => Err(JournalError::OtherFormat(format)),
            (Some(_), Some(program)) => Err(JournalError::WrittenBy(program.to_owned())),
        }
    }

    /// Checks that a run of this version can reach the state.
    ///
    /// # Errors
    /// The target order has another version, or the numbers are inconsistent.
    fn check(&self) -> Result<(), JournalError> {
        if self.walk != WALK_VERSION {
            return Err(JournalError::OtherWalk(self.walk));
        }
        let account = &self.account;
        let is_sound = self.outputs.iter().all(|output| output.resume_point.is_sound())
            && account.is_sound()
            && account.settled() + account.excluded == account.targets
            && account.targets == self.settled.len().saturating_add(account.more_addresses);
        // A run without gates, or without outcomes so far, has no gate state.
        let gate = self.gate.as_ref();
        if is_sound && gate.is_none_or(|gate| gate.is_sound(account)) {
            return Ok(());
        }
        Err(JournalError::Inconsistent)
    }
}

/// Returns the first line of a journal.
fn header(program: &str, body: &[u8]) -> String {
    let checksum = checksum(&[program.as_bytes(), b"\n", body].concat());
    format!("{MAGIC} {VERSION} {program} {checksum} {}\n", body.len())
}

/// Returns the version of a program if the word looks like one; the word may contain anything.
fn version(word: &[u8]) -> Option<&str> {
    let word = str::from_utf8(word).ok()?;
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ".+-".contains(letter);
    let is_version = word.len() <= PROGRAM_MAX && word.contains('.');
    (is_version && word.chars().all(is_letter)).then_some(word)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portmuster::sink::ResumePoint;

    use super::*;

    fn journal() -> Journal {
        let mut account = Account::default();
        (account.targets, account.excluded) = (2, 2);
        Journal {
            run: "00ff".into(),
            walk: WALK_VERSION,
            identity: RunIdentity::from_settings([(
                "targets",
                "3 with fingerprint 00ff".to_owned(),
            )]),
            outputs: vec![SavedOutput {
                format: "jsonl".into(),
                path: "/a/b.jsonl".into(),
                inode: 7,
                resume_point: ResumePoint::Lines { length: 1234 },
                checksum_before: Some(checksum(b"{}\n")),
                is_tagged: true,
            }],
            settled: Positions::from_runs(&[1, 1, 1]).expect("valid runs"),
            account,
            gate: Some(GateState::default()),
            complete: false,
        }
    }

    #[test]
    fn inconsistent_numbers_are_refused() {
        type Forge = fn(&mut Journal);

        let forged: [Forge; 10] = [
            |journal| journal.account.elapsed = Duration::MAX,
            |journal| journal.account.targets = u64::MAX,
            |journal| journal.account.targets = 3,
            |journal| journal.account.more_addresses = u64::MAX,
            |journal| journal.account.excluded = u64::MAX,
            |journal| journal.account.faults = u64::MAX,
            |journal| journal.settled = Positions::from_runs(&[u64::MAX >> 1]).expect("valid runs"),
            |journal| journal.settled = Positions::new(),
            |journal| journal.gate = Some(forged_gate()),
            |journal| {
                journal.outputs[0].resume_point =
                    ResumePoint::Xml { length: 8, started: i64::MAX, up: 0, hosts: 0 };
            },
        ];
        for (index, forge) in forged.into_iter().enumerate() {
            let mut journal = journal();
            forge(&mut journal);
            let read = Journal::from_bytes(&journal.to_bytes());
            assert_eq!(read, Err(JournalError::Inconsistent), "{index}");
        }
        let mut journal = journal();
        journal.walk += 1;
        let read = Journal::from_bytes(&journal.to_bytes());
        assert_eq!(read, Err(JournalError::OtherWalk(WALK_VERSION + 1)));
    }

    fn forged_gate() -> GateState {
        let gate =
            serde_json::to_string(&GateState::default()).expect("the state is representable");
        serde_json::from_str(&gate.replace("\"seen\":0", "\"seen\":18446744073709551615"))
            .expect("the field names are unchanged")
    }

    #[test]
    fn decoding_reverses_encoding() {
        let journal = journal();
        assert_eq!(Journal::from_bytes(&journal.to_bytes()), Ok(journal));
    }

    #[test]
    fn every_flipped_bit_and_truncation_is_detected() {
        let bytes = journal().to_bytes();
        for length in 0..bytes.len() {
            assert!(Journal::from_bytes(&bytes[..length]).is_err(), "truncated to {length}");
        }
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[index] ^= 1 << bit;
                assert!(Journal::from_bytes(&damaged).is_err(), "bit {bit} of byte {index}");
            }
        }
        assert!(Journal::from_bytes(&[&bytes[..], b"\n"].concat()).is_err(), "an additional byte");
    }

    #[test]
    fn other_content_is_refused_with_its_reason() {
        let refusal =
            |bytes: &[u8]| Journal::from_bytes(bytes).expect_err("the bytes are no journal");
        assert_eq!(refusal(b"{\"schema\":1}\n"), JournalError::NotAJournal);
        for damaged in ["", " ", " x", " 3", " 3 x", " 3 0.1.0", " 3 0.1.0 00ff 7\n{}"] {
            let damaged = format!("{MAGIC}{damaged}");
            assert_eq!(refusal(damaged.as_bytes()), JournalError::Damaged, "{damaged}");
        }
        let written_by = |program: &str| JournalError::WrittenBy(program.to_owned());
        assert_eq!(refusal(b"portmuster journal 1 00ff00ff00ff00ff 3\n{}\n"), written_by("0.1.0"));
        assert_eq!(refusal(b"portmuster journal 4 7.3.0-rc.1 x\n"), written_by("7.3.0-rc.1"));
        let own = format!(" {PROGRAM}");
        for word in ["", " \x1b[2J", " 12", &format!(" 1.{}", "0".repeat(99)), &own] {
            let other = format!("{MAGIC} 4{word}\n");
            assert_eq!(refusal(other.as_bytes()), JournalError::OtherFormat(4), "{other:?}");
        }
    }

    #[test]
    fn journal_of_another_version_names_the_version_to_resume_with() {
        let journal = journal().to_bytes();
        let end = journal.iter().position(|&byte| byte == b'\n').expect("the journal has a header");
        let mut other = header("7.3.0", &journal[end + 1..]).into_bytes();
        other.extend(&journal[end + 1..]);
        let error = Journal::from_bytes(&other).expect_err("the version differs");
        let message = error.to_string();
        assert!(
            message.starts_with("it was written by portmuster 7.3.0, but this is 0."),
            "{message}"
        );
        assert!(
            message.ends_with(": resume with that version, or remove the journal and start again"),
            "{message}"
        );
        *other.last_mut().expect("the journal has bytes") ^= 1;
        assert_eq!(Journal::from_bytes(&other), Err(JournalError::Damaged));
    }
}
