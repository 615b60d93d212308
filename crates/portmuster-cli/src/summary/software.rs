//! How many open ports have each software.

use std::{borrow::Cow, cmp::Reverse, collections::HashMap};

use portmuster::{
    Outcome,
    sink::{escape_line, shorten},
};

use super::tally::top;

/// Maximum number of names that are counted separately, because servers choose them.
const NAMES_MAX: usize = 4096;

/// The most columns of a name.
const NAME_COLUMNS: usize = 40;

/// The number of open ports by their software: as a fingerprint names it, or else as the ssh
/// identification does.
#[derive(Debug, Default)]
pub(crate) struct SoftwareCounts {
    counts: HashMap<Box<[u8]>, u64>,
    /// The ports whose names came after [`NAMES_MAX`] others.
    uncounted: u64,
}

impl SoftwareCounts {
    /// Counts the software of a server.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let Some(name) = name(outcome) else { return };
        let name = &*name;
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < NAMES_MAX {
            self.counts.insert(name.into(), 1);
        } else {
            self.uncounted += 1;
        }
    }

    /// Lists the most frequent names; `None`: there are no ssh servers.
    pub(super) fn describe(&self) -> Option<String> {
        let mut counts: Vec<_> = self.counts.iter().map(|(name, &count)| (name, count)).collect();
        counts.sort_unstable_by_key(|&(name, count)| (Reverse(count), name));
        let names = counts.iter().map(|&(name, count)| {
            let name = escape_line(name);
            (shorten(&name, NAME_COLUMNS).into_owned(), count)
        });
        top(names, self.uncounted, "of other software")
    }
}

/// Returns the name of the software of a server, with its version if that is known; `None`: nothing names
/// it.
fn name(outcome: &Outcome) -> Option<Cow<'_, [u8]>> {
    let details = outcome.verdict.details.as_deref()?;
    let known = details.software.as_deref().and_then(|software| {
        let product = software.product.as_ref()?;
        Some(match &software.version {
            Some(version) => format!("{product} {version}"),
            None => product.clone(),
        })
    });
    let identification = details.identification.as_ref();
    let claimed = || identification.map(|it| Cow::Borrowed(&it.software[..]));
    known.map(|name| Cow::Owned(name.into_bytes())).or_else(claimed)
}

#[cfg(test)]
mod tests {
    use portmuster::{
        PortState, Reason, Target, Verdict,
        outcome::{Identification, ServiceDetails},
    };

    use super::*;

    fn server(software: &[u8]) -> Outcome {
        let mut details = ServiceDetails::default();
        details.identification = Some(Identification::new("2.0", software));
        let mut verdict = Verdict::new(PortState::Open, Reason::Accepted);
        verdict.details = Some(Box::new(details));
        Outcome::new(Target::new("192.0.2.1", 22), verdict)
    }

    #[test]
    fn most_frequent_software_comes_first_and_the_rest_is_summed() {
        let mut counts = SoftwareCounts::default();
        assert_eq!(counts.describe(), None);
        for (name, times) in [("b", 2), ("a", 2), ("c", 7), ("d", 1), ("e", 1), ("f", 1), ("g", 1)]
        {
            (0..times).for_each(|_| counts.add(&server(name.as_bytes())));
        }
        let described = "7 c, 2 a, 2 b, 1 d, 1 e, and 2 of other software";
        assert_eq!(counts.describe().as_deref(), Some(described));
    }

    #[test]
    fn names_are_bounded_and_escaped() {
        let mut counts = SoftwareCounts::default();
        for nth in 0..NAMES_MAX + 3 {
            counts.add(&server(format!("\x1b[31m{nth:05}{}", "x".repeat(100)).as_bytes()));
        }
        assert_eq!(counts.counts.len(), NAMES_MAX);
        let described = counts.describe().expect("there are servers");
        assert!(!described.contains('\x1b') && described.len() < 300, "{described}");
        assert!(described.ends_with("and 4,094 of other software"), "{described}");
    }
}
