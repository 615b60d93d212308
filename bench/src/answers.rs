//! The answers of a program about targets, compared with the true states.

use std::{
    fmt::{self, Display, Formatter},
    mem,
    net::SocketAddr,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::span::{Span, State};

/// The states that a program reports for the targets of a span.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    /// Targets that the program names, each with its reported state.
    pub(crate) states: Vec<(SocketAddr, State)>,
    /// How many further targets the program only counts; none of them is reported open.
    pub(crate) counted: usize,
}

/// Reads the output of a program that checked the targets of a span.
pub(crate) type Parser = fn(&str, Span) -> Result<Answers>;

/// The targets that a program reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// Every target exactly once.
    EveryTarget,
    /// Open targets only, possibly several times each.
    OpenOnly,
}

/// How many answers of a program were right and wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accuracy {
    /// Open targets that were reported open.
    pub(crate) open: usize,
    /// Open targets.
    pub(crate) of: usize,
    /// Other targets that were reported open.
    pub(crate) false_open: usize,
    /// Refused targets that were reported silent, and silent ones reported refused.
    pub(crate) mistaken: usize,
}

impl Accuracy {
    /// Whether every answer is right.
    pub(crate) fn is_exact(self) -> bool {
        self.open == self.of && self.false_open == 0 && self.mistaken == 0
    }
}

impl Display for Accuracy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "found {} of {}", self.open, self.of)?;
        for (count, name) in [(self.false_open, "false"), (self.mistaken, "mistaken")] {
            if count > 0 {
                write!(f, ", {count} {name}")?;
            }
        }
        Ok(())
    }
}

/// Counts the right and the wrong answers.
///
/// # Errors
/// An answer names a target outside the span, or a program that must report every target once
/// reports one twice or not at all.
pub(crate) fn assess(answers: &Answers, span: Span, coverage: Coverage) -> Result<Accuracy> {
    let of = span.numbers().filter(|&number| span.state(number) == State::Open).count();
    let mut accuracy = Accuracy { open: 0, of, false_open: 0, mistaken: 0 };
    let mut is_answered = vec![false; span.targets];
    let mut answered = answers.counted;
    for &(target, reported) in &answers.states {
        let number = span.number_of(target);
        let number = number.with_context(|| format!("{target} is not a target of the list"))?;
        if mem::replace(&mut is_answered[number], true) {
            // A raw scanner reports a target again when a packet arrives twice.
            ensure!(coverage == Coverage::OpenOnly, "there are two answers for {target}");
            continue;
        }
        answered += 1;
        match (span.state(number), reported) {
            (State::Open, State::Open) => accuracy.open += 1,
            (_, State::Open) => accuracy.false_open += 1,
            (State::Refused, State::Silent) | (State::Silent, State::Refused) => {
                accuracy.mistaken += 1;
            }
            _ => {}
        }
    }
    ensure!(
        coverage == Coverage::OpenOnly || answered == span.targets,
        "there are answers for {answered} of {} targets",
        span.targets
    );
    Ok(accuracy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::StatePattern;

    #[test]
    fn missing_duplicate_and_foreign_answers_are_errors() {
        let span = Span::refused(2);
        let refused = |number| (span.target(number), State::Refused);
        let assess = |states: &[_], counted| {
            let answers = Answers { states: states.to_vec(), counted };
            assess(&answers, span, Coverage::EveryTarget).map_err(|error| error.to_string())
        };
        assert!(assess(&[refused(1), refused(0)], 0).expect("two answers").is_exact());
        assert!(assess(&[refused(0)], 1).expect("two answers").is_exact());
        for (states, error) in [
            (&[refused(1)][..], "there are answers for 1 of 2 targets"),
            (&[refused(1); 2], "there are two answers for 127.1.0.1:1"),
            (&[refused(0), refused(2)], "127.1.0.2:1 is not a target of the list"),
        ] {
            assert_eq!(assess(states, 0), Err(error.to_owned()));
        }
    }

    #[test]
    fn open_targets_and_false_positives_are_counted_once() {
        let span = Span { states: StatePattern::OpenFirst(2), ..Span::refused(4) };
        let states = [0, 0, 3].map(|number| (span.target(number), State::Open)).to_vec();
        let accuracy = assess(&Answers { states, counted: 0 }, span, Coverage::OpenOnly);
        let accuracy = accuracy.expect("every answer names a target");
        assert_eq!(accuracy, Accuracy { open: 1, of: 2, false_open: 1, mistaken: 0 });
        assert_eq!(accuracy.to_string(), "found 1 of 2, 1 false");
    }
}
