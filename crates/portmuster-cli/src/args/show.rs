//! Which rows are written: the items of `--show`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use portmuster::{
    Outcome, PortState,
    gates::{Forbidden, Presence},
};

/// An item of `--show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShowItem {
    /// Every target.
    All,
    /// The targets in a state.
    State(PortState),
    /// The targets where a run would find this if it were forbidden.
    Found(Forbidden),
}

impl ShowItem {
    /// Returns all items, in the order in which errors and completions list them.
    fn every() -> impl Iterator<Item = Self> {
        // `open` is among what can be forbidden.
        let states = PortState::ALL.into_iter().filter(|&state| state != PortState::Open);
        // A row does not say which keys other hosts have.
        let found = Forbidden::all().filter(|&item| item != Forbidden::SharedHostKey);
        let found = found.map(Self::Found);
        [Self::All].into_iter().chain(found).chain(states.map(Self::State))
    }

    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::State(state) => state.name(),
            Self::Found(item) => item.name(),
        }
    }

    fn shows(self, outcome: &Outcome) -> bool {
        match self {
            Self::All => true,
            Self::State(state) => outcome.verdict.state == state,
            Self::Found(item) => Presence::of(item, outcome) == Presence::Found,
        }
    }
}

/// Parses an item.
pub(super) fn items() -> impl TypedValueParser<Value = ShowItem> {
    PossibleValuesParser::new(ShowItem::every().map(ShowItem::name)).map(|name| {
        let named = ShowItem::every().find(|item| item.name() == name);
        named.expect("clap accepts only these names")
    })
}

/// The rows that an output writes: those that at least one item shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownRows(Vec<ShowItem>);

impl ShownRows {
    /// Creates the rows of `--show`, or else of this default.
    pub(super) fn new(items: &[ShowItem], default: ShowItem) -> Self {
        Self(if items.is_empty() { vec![default] } else { items.to_vec() })
    }

    /// Returns whether the row of an outcome is written.
    pub(crate) fn contains(&self, outcome: &Outcome) -> bool {
        self.0.iter().any(|item| item.shows(outcome))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use portmuster::{Reason, Service, Target, Verdict};

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = ShowItem::every().map(ShowItem::name).collect();
        assert_eq!(names.len(), ShowItem::every().count());
    }

    #[test]
    fn rows_of_any_item_are_written() {
        let outcome = |state, service: Option<Service>| {
            let mut verdict = Verdict::new(state, Reason::Accepted);
            verdict.service = service;
            Outcome::new(Target::new("192.0.2.1", 22), verdict)
        };
        let (ssh, silent) = (Some(Service::Ssh), Some(Service::Silent));
        let outcomes = [
            outcome(PortState::Open, ssh),
            outcome(PortState::Open, silent),
            outcome(PortState::Filtered, None),
            outcome(PortState::Closed, None),
        ];
        for (names, shown) in [
            (&[][..], [true, true, false, false]),
            (&["ssh"], [true, false, false, false]),
            (&["silent", "filtered"], [false, true, true, false]),
            (&["telnet", "closed"], [false, false, false, true]),
            (&["all", "ssh"], [true, true, true, true]),
            (&["weak"], [false, false, false, false]),
        ] {
            let items = names.iter().map(|name| {
                ShowItem::every().find(|item| item.name() == *name).expect("the name is known")
            });
            let rows = ShownRows::new(&items.collect::<Vec<_>>(), ShowItem::Found(Forbidden::Open));
            assert_eq!(outcomes.each_ref().map(|it| rows.contains(it)), shown, "{names:?}");
        }
    }
}
