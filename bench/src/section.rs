//! What one question came to: figures, what was wanted of them, and what was noticed.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::table::{self, Row, Spread};

/// What one question came to.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// What was measured, in a line.
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
    /// Whose pace those of all are told as multiples of.
    pub(crate) unit: Option<String>,
    pub(crate) goals: Vec<Goal>,
    /// What else was seen.
    pub(crate) notes: Vec<String>,
    /// Who could not take part, and why.
    pub(crate) absent: Vec<String>,
    /// What was in force where it ran.
    pub(crate) settings: Vec<String>,
}

/// A figure of which something is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// Of which figure.
    pub(crate) what: String,
    pub(crate) value: Spread,
    pub(crate) bound: f64,
    pub(crate) wanted: Wanted,
    pub(crate) kind: Kind,
}

/// On which side of its bound a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wanted {
    AtLeast,
    AtMost,
}

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// How many times another figure.
    Ratio,
    /// So many of what is said in its name.
    Number,
}

impl Goal {
    /// A ratio that is to be no less.
    pub(crate) fn at_least(what: String, value: Spread, bound: f64) -> Self {
        Self { what, value, bound, wanted: Wanted::AtLeast, kind: Kind::Ratio }
    }

    /// A ratio that is to be no more.
    pub(crate) fn at_most(what: String, value: Spread, bound: f64) -> Self {
        Self { wanted: Wanted::AtMost, ..Self::at_least(what, value, bound) }
    }

    /// One figure that is no ratio.
    pub(crate) fn number(what: &str, value: f64, wanted: Wanted, bound: f64) -> Self {
        let value = Spread::one(value);
        Self { what: what.to_owned(), value, bound, wanted, kind: Kind::Number }
    }

    pub(crate) fn is_reached(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast => self.value.median >= self.bound,
            Wanted::AtMost => self.value.median <= self.bound,
        }
    }

    /// What is wanted.
    pub(crate) fn wanted(&self) -> String {
        let side = match self.wanted {
            Wanted::AtLeast => "at least",
            Wanted::AtMost => "at most",
        };
        format!("{side} {}", self.number_text(self.bound))
    }

    /// The figure, with its ends where it has some.
    pub(crate) fn value(&self) -> String {
        let Spread { median, lowest, highest } = self.value;
        let text = |figure| self.number_text(figure);
        if lowest < highest {
            format!("{} ({} – {})", text(median), text(lowest), text(highest))
        } else {
            text(median)
        }
    }

    fn number_text(&self, figure: f64) -> String {
        match self.kind {
            Kind::Number if figure.fract() == 0.0 => format!("{figure:.0}"),
            Kind::Ratio | Kind::Number => format!("{figure:.2}"),
        }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        if self.is_reached() { "reached" } else { "missed" }
    }
}

impl Display for Section {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            writeln!(f, "\n{}", table::summary(&self.rows, self.unit.as_deref()))?;
        }
        for goal in &self.goals {
            writeln!(
                f,
                "  {}: {}; {}: {}",
                goal.what,
                goal.value(),
                goal.wanted(),
                goal.verdict()
            )?;
        }
        for line in self.notes.iter().chain(&self.absent).chain(&self.settings) {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_says_what_was_wanted_and_whether_it_is_reached() {
        let value = Spread { median: 1.2, lowest: 1.1, highest: 1.3 };
        let goal = Goal::at_most("wall".into(), value, 1.15);
        assert_eq!(
            (goal.value(), goal.wanted()),
            ("1.20 (1.10 – 1.30)".into(), "at most 1.15".into())
        );
        assert_eq!(goal.verdict(), "missed");
        let goal = Goal::number("expired early", 0.0, Wanted::AtMost, 0.0);
        let section = Section { goals: vec![goal], ..Section::default() };
        assert_eq!(section.to_string(), "  expired early: 0; at most 0: reached\n");
    }
}
