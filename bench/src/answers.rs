//! What programs say of targets, held against what is true of them.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::span::{Span, State};

/// What was heard of a program.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Of these it said what they are.
    pub(crate) said: Vec<(SocketAddr, State)>,
    /// So many more it only counted, none of them open.
    pub(crate) counted: usize,
}

/// Reads what a program wrote about these targets.
pub(crate) type Parser = fn(&str, Span) -> Result<Heard>;

/// How much a program says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// Something of each target, once.
    All,
    /// Which targets are open, and nothing of the others.
    Opens,
}

/// How well the open targets were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Open, and said to be.
    pub(crate) open: usize,
    /// Open.
    pub(crate) of: usize,
    /// Said to be open, and not.
    pub(crate) false_open: usize,
    /// Refused or silent, and said to be the other one.
    pub(crate) mistaken: usize,
}

impl Found {
    /// Whether nothing is wrong.
    pub(crate) fn is_exact(self) -> bool {
        self.open == self.of && self.false_open == 0 && self.mistaken == 0
    }
}

/// Each line is an answer, or none of those that `read` knows.
pub(crate) fn by_line(
    text: &str,
    read: impl Fn(&str) -> Option<(SocketAddr, State)>,
) -> Result<Heard> {
    let lines = text.lines().map(|line| {
        read(line).with_context(|| format!("this is not the answer for a target: {line}"))
    });
    Ok(Heard { said: lines.collect::<Result<_>>()?, counted: 0 })
}

/// Looks how well the targets were found.
///
/// # Errors
/// There is an answer for what is no target. Of who says something of each target: there are two
/// for one, or none.
pub(crate) fn judge(heard: &Heard, span: Span, coverage: Coverage) -> Result<Found> {
    let mut answered = vec![false; span.targets];
    let mut found = Found {
        open: 0,
        of: span.numbers().filter(|&nth| span.state(nth) == State::Open).count(),
        false_open: 0,
        mistaken: 0,
    };
    for &(target, state) in &heard.said {
        let nth = span.number_of(target);
        let nth = nth.with_context(|| format!("{target} is not a target of the list"))?;
        if std::mem::replace(&mut answered[nth], true) {
            // Who listens to packets may hear one twice.
            ensure!(coverage == Coverage::Opens, "there are two answers for {target}");
            continue;
        }
        match (span.state(nth), state) {
            (State::Open, State::Open) => found.open += 1,
            (_, State::Open) => found.false_open += 1,
            (State::Refused, State::Silent) | (State::Silent, State::Refused) => {
                found.mistaken += 1;
            }
            _ => {}
        }
    }
    let answers = answered.iter().filter(|&&answered| answered).count() + heard.counted;
    ensure!(
        coverage == Coverage::Opens || answers == span.targets,
        "there are answers for {answers} of {} targets",
        span.targets
    );
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::States;

    fn heard(said: &[(&str, State)]) -> Heard {
        let said = said.iter().map(|(target, state)| (target.parse().expect("a target"), *state));
        Heard { said: said.collect(), counted: 0 }
    }

    #[test]
    fn every_target_is_to_be_found_once() {
        let (a, b) = (("127.1.0.0:1", State::Refused), ("127.1.0.1:1", State::Refused));
        let span = Span::refused(2);
        let error = |said: &[_]| {
            judge(&heard(said), span, Coverage::All).expect_err("it is wrong").to_string()
        };
        assert!(judge(&heard(&[b, a]), span, Coverage::All).expect("they are two").is_exact());
        assert_eq!(error(&[b]), "there are answers for 1 of 2 targets");
        assert_eq!(error(&[b, b]), "there are two answers for 127.1.0.1:1");
        let stranger = ("127.1.0.2:1", State::Refused);
        assert_eq!(error(&[a, stranger]), "127.1.0.2:1 is not a target of the list");
        assert!(by_line("127.1.0.1:1\n", |_| None).is_err());
        let counted = Heard { counted: 1, ..heard(&[a]) };
        assert!(judge(&counted, span, Coverage::All).expect("they are two").is_exact());
    }

    #[test]
    fn what_is_open_is_told_from_what_is_said_to_be() {
        let span = Span { states: States::OpenFirst(2), ..Span::refused(4) };
        let open = |nth| (span.target(nth), State::Open);
        let heard = Heard { said: vec![open(0), open(0), open(3)], counted: 0 };
        let found = judge(&heard, span, Coverage::Opens).expect("they are targets");
        assert_eq!(found, Found { open: 1, of: 2, false_open: 1, mistaken: 0 });
        assert!(!found.is_exact());
    }
}
