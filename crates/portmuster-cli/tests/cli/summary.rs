//! The summary on stderr, which accounts for every target.

use std::collections::BTreeMap;

/// Parsed line `N targets = a open + … + f left, in S s`, in which parts that are zero are missing.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) targets: u64,
    pub(crate) seconds: f64,
    parts: BTreeMap<String, u64>,
}

impl Summary {
    /// Finds the line in stderr and asserts that the counts add up.
    pub(crate) fn read(stderr: &str) -> Self {
        let equation = stderr
            .lines()
            .filter_map(|line| line.strip_prefix("portmuster: "))
            .find(|line| line.contains(" target = ") || line.contains(" targets = "))
            .unwrap_or_else(|| panic!("there is no sum in {stderr}"));
        let summary = Self::parse(equation).unwrap_or_else(|| panic!("{equation} is no sum"));
        assert_eq!(summary.targets, summary.parts.values().sum::<u64>(), "{equation}");
        summary
    }

    fn parse(equation: &str) -> Option<Self> {
        let (targets, rest) = equation.split_once(" = ")?;
        let targets = targets.trim_end_matches('s').strip_suffix(" target")?;
        let number = |text: &str| text.replace(',', "").parse().ok();
        let (parts, rest) = rest.split_once(", in ")?;
        let seconds = rest.strip_suffix(" s")?.parse().ok()?;
        let part = |text: &str| {
            let (count, name) = text.split_once(' ')?;
            Some((name.to_owned(), number(count)?))
        };
        let parts = parts.split(" + ").map(part).collect::<Option<_>>()?;
        Some(Self { targets: number(targets)?, seconds, parts })
    }

    /// Returns the number of targets with this state, or of those `left`.
    pub(crate) fn of(&self, state: &str) -> u64 {
        self.parts.get(state).copied().unwrap_or_default()
    }
}

/// Formats a number as messages do, with a comma between thousands.
pub(crate) fn with_commas(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", with_commas(number / 1000), number % 1000),
    }
}
