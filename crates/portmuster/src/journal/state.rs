//! The content of a journal, and its encoding with a header and a checksum.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{checksum::checksum, identity::RunIdentity, output::JournalEntry};
use crate::{
    gates::GateState, outcome::Account, positions::Positions, schedule::SilentState,
    sink::ResumePoint, targets::WALK_VERSION,
};

/// The first word of a journal. The rest of the first line is the version of the format, the
/// version of the program, the [checksum] of the latter and the body, and the length of the body.
pub(super) const MAGIC: &str = "portmuster journal";
/// The version of the format. Format 1 lacks the version of the program, format 2 the walk, format
/// 3 the targets that have not answered.
const VERSION: u32 = 4;
/// The version of portmuster. Only this version resumes the run, because another one may judge
/// servers by other rules.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// The version of the program that wrote format 1.
const PROGRAM_OF_FORMAT_1: &str = "0.1.0";
/// Maximum length of a program version that a message quotes.
const PROGRAM_MAX: usize = 32;

/// The state of a run at a checkpoint, as its journal contains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JournalState<E = ResumePoint> {
    /// The unique id of the run, the same in each of its processes.
    pub run: String,
    /// The [version](WALK_VERSION) of the target order to which the positions belong.
    pub walk: u32,
    /// All settings that affect which rows the run writes and what they contain.
    #[serde(rename = "asked")]
    pub identity: RunIdentity,
    /// The entries of the outputs, in the order in which the run was started with them.
    pub outputs: Vec<E>,
    /// The targets whose rows are written completely.
    pub settled: Positions,
    /// What is known of targets that have not answered.
    pub silent: SilentState,
    /// The sum over the settled targets, including those of earlier processes.
    pub account: Account,
    /// The state of the gates after the settled targets; `None`: the run has no gates, or no
    /// outcomes so far.
    #[serde(rename = "found")]
    pub gates: Option<GateState>,
    /// Whether every target is settled and every output is finished.
    pub complete: bool,
}

/// Why bytes are no journal from which a run could resume.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidJournal {
    /// The bytes do not begin like a journal.
    #[error("it is not a portmuster journal")]
    NotAJournal,
    /// Another version of portmuster wrote it; this is the version.
    #[error(
        "it was written by portmuster {0}, but this is {PROGRAM} with journal format {VERSION}: resume \
         with that version, or remove the journal and start again"
    )]
    WrittenBy(String),
    /// It has another format; this is the version of the format.
    #[error(
        "its format is {0}, but portmuster {PROGRAM} reads format {VERSION}: resume with the version \
         that wrote it, or remove the journal and start again"
    )]
    OtherFormat(u32),
    /// The checksum is wrong.
    #[error("it is damaged: the checksum is wrong")]
    Damaged,
    /// No run can reach the state.
    #[error("it is damaged: its numbers are inconsistent")]
    Inconsistent,
    /// Its positions belong to another target order; this is the version of the order.
    #[error(
        "its target order is version {0}, but portmuster {PROGRAM} uses version {WALK_VERSION}: resume with \
         the build that wrote it, or remove the journal and start again"
    )]
    OtherWalk(u32),
}

impl<E: JournalEntry> JournalState<E> {
    /// Encodes the journal for its file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
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
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidJournal> {
        let line = bytes.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        let begins = line.strip_prefix(MAGIC.as_bytes()).ok_or(InvalidJournal::NotAJournal)?;
        let mut words = begins.trim_ascii_end().split(|&byte| byte == b' ').skip(1);
        let format = words.next().and_then(|text| str::from_utf8(text).ok()?.parse().ok());
        let program = words.next().and_then(version);
        let body = &bytes[line.len()..];
        match (format, program) {
            (None, _) | (Some(VERSION), None) => Err(InvalidJournal::Damaged),
            (Some(1), _) => Err(InvalidJournal::WrittenBy(PROGRAM_OF_FORMAT_1.to_owned())),
            (Some(VERSION), Some(program)) if line != header(program, body).as_bytes() => {
                Err(InvalidJournal::Damaged)
            }
            (Some(VERSION), Some(PROGRAM)) => {
                let state: Self =
                    serde_json::from_slice(body).map_err(|_| InvalidJournal::Damaged)?;
                state.check()?;
                Ok(state)
            }
            (Some(format), None | Some(PROGRAM)) => Err(InvalidJournal::OtherFormat(format)),
            (Some(_), Some(program)) => Err(InvalidJournal::WrittenBy(program.to_owned())),
        }
    }

    /// Checks that a run of this version can reach the state.
    ///
    /// # Errors
    /// The target order has another version, or the numbers are inconsistent.
    fn check(&self) -> Result<(), InvalidJournal> {
        if self.walk != WALK_VERSION {
            return Err(InvalidJournal::OtherWalk(self.walk));
        }
        let account = &self.account;
        let is_sound = self.silent.is_sound()
            && self.outputs.iter().all(|output| output.resume_point().is_sound())
            && account.is_sound()
            && account.settled() + account.excluded == account.targets
            && account.targets == self.settled.len().saturating_add(account.more_addresses);
        let gates = self.gates.as_ref();
        if is_sound && gates.is_none_or(|gates| gates.is_sound(account)) {
            return Ok(());
        }
        Err(InvalidJournal::Inconsistent)
    }

    /// Checks that the state is one of a run with this number of targets.
    ///
    /// # Errors
    /// [`InvalidJournal::Inconsistent`]: the settled positions are not those of so many targets.
    pub fn check_targets(&self, targets: u128) -> Result<(), InvalidJournal> {
        let are_settled = u128::from(self.settled.len()) == targets;
        let end = self.settled.end().max(self.silent.end().into());
        if end > targets || self.complete && !are_settled {
            return Err(InvalidJournal::Inconsistent);
        }
        Ok(())
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

    use super::*;

    fn journal() -> JournalState {
        let mut account = Account::default();
        (account.targets, account.excluded) = (2, 2);
        JournalState {
            run: "00ff".into(),
            walk: WALK_VERSION,
            identity: RunIdentity::new([("targets", "3 with fingerprint 00ff")]),
            outputs: vec![ResumePoint::Lines { length: 1234 }],
            settled: Positions::from_runs(&[1, 1, 1]).expect("valid runs"),
            silent: SilentState::default(),
            account,
            gates: Some(GateState::default()),
            complete: false,
        }
    }

    #[test]
    fn inconsistent_numbers_are_refused() {
        type Forge = fn(&mut JournalState);

        let forged: [Forge; 10] = [
            |journal| journal.account.elapsed = Duration::MAX,
            |journal| journal.account.targets = u64::MAX,
            |journal| journal.account.targets = 3,
            |journal| journal.account.more_addresses = u64::MAX,
            |journal| journal.account.excluded = u64::MAX,
            |journal| journal.account.faults = u64::MAX,
            |journal| journal.settled = Positions::from_runs(&[u64::MAX >> 1]).expect("valid runs"),
            |journal| journal.settled = Positions::new(),
            |journal| journal.gates = Some(forged_gate()),
            |journal| {
                journal.outputs[0] =
                    ResumePoint::Xml { length: 8, started: i64::MAX, up: 0, hosts: 0 };
            },
        ];
        for (index, forge) in forged.into_iter().enumerate() {
            let mut journal = journal();
            forge(&mut journal);
            let read = JournalState::<ResumePoint>::from_bytes(&journal.to_bytes());
            assert_eq!(read, Err(InvalidJournal::Inconsistent), "{index}");
        }
        let mut journal = journal();
        journal.walk += 1;
        let read = JournalState::<ResumePoint>::from_bytes(&journal.to_bytes());
        assert_eq!(read, Err(InvalidJournal::OtherWalk(WALK_VERSION + 1)));
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
        assert_eq!(JournalState::<ResumePoint>::from_bytes(&journal.to_bytes()), Ok(journal));
    }

    #[test]
    fn every_flipped_bit_and_truncation_is_detected() {
        let bytes = journal().to_bytes();
        for length in 0..bytes.len() {
            assert!(
                JournalState::<ResumePoint>::from_bytes(&bytes[..length]).is_err(),
                "truncated to {length}"
            );
        }
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[index] ^= 1 << bit;
                assert!(
                    JournalState::<ResumePoint>::from_bytes(&damaged).is_err(),
                    "bit {bit} of byte {index}"
                );
            }
        }
        assert!(
            JournalState::<ResumePoint>::from_bytes(&[&bytes[..], b"\n"].concat()).is_err(),
            "an additional byte"
        );
    }

    #[test]
    fn other_content_is_refused_with_its_reason() {
        let refusal = |bytes: &[u8]| {
            JournalState::<ResumePoint>::from_bytes(bytes).expect_err("the bytes are no journal")
        };
        assert_eq!(refusal(b"{\"schema\":1}\n"), InvalidJournal::NotAJournal);
        for damaged in ["", " ", " x", " 4", " 4 x", " 4 0.1.0", " 4 0.1.0 00ff 7\n{}"] {
            let damaged = format!("{MAGIC}{damaged}");
            assert_eq!(refusal(damaged.as_bytes()), InvalidJournal::Damaged, "{damaged}");
        }
        let written_by = |program: &str| InvalidJournal::WrittenBy(program.to_owned());
        assert_eq!(refusal(b"portmuster journal 1 00ff00ff00ff00ff 3\n{}\n"), written_by("0.1.0"));
        assert_eq!(refusal(b"portmuster journal 5 7.3.0-rc.1 x\n"), written_by("7.3.0-rc.1"));
        let own = format!(" {PROGRAM}");
        for word in ["", " \x1b[2J", " 12", &format!(" 1.{}", "0".repeat(99)), &own] {
            let other = format!("{MAGIC} 5{word}\n");
            assert_eq!(refusal(other.as_bytes()), InvalidJournal::OtherFormat(5), "{other:?}");
        }
    }

    #[test]
    fn journal_of_another_version_names_the_version_to_resume_with() {
        let journal = journal().to_bytes();
        let end = journal.iter().position(|&byte| byte == b'\n').expect("the journal has a header");
        let mut other = header("7.3.0", &journal[end + 1..]).into_bytes();
        other.extend(&journal[end + 1..]);
        let error =
            JournalState::<ResumePoint>::from_bytes(&other).expect_err("the version differs");
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
        assert_eq!(JournalState::<ResumePoint>::from_bytes(&other), Err(InvalidJournal::Damaged));
    }

    #[test]
    fn settled_positions_must_be_those_of_the_targets() {
        let mut journal = journal();
        assert_eq!(journal.check_targets(3), Ok(()));
        assert_eq!(journal.check_targets(2), Err(InvalidJournal::Inconsistent));
        journal.complete = true;
        assert_eq!(journal.check_targets(3), Err(InvalidJournal::Inconsistent));
        assert_eq!(journal.check_targets(2), Err(InvalidJournal::Inconsistent));
    }

    /// Journals of earlier builds contain these bytes.
    #[test]
    fn encoding_is_fixed() {
        let bytes = JournalState { gates: None, ..journal() }.to_bytes();
        let text = String::from_utf8(bytes).expect("a journal is text");
        let (header, body) = text.split_once('\n').expect("the journal has a header");
        assert!(header.starts_with("portmuster journal 4 0."), "{header}");
        let begin = r#"{"run":"00ff","walk":WALK,"asked":[["targets","3 with fingerprint 00ff"]],"outputs":[{"lines":{"length":1234}}],"settled":[1,1,1],"silent":{"#;
        let begin = begin.replace("WALK", &WALK_VERSION.to_string());
        assert!(body.starts_with(&begin), "{body}");
        assert!(body.ends_with("},\"found\":null,\"complete\":false}\n"), "{body}");
    }
}
