//! The figures that answer one question, the goals for them, and both as Markdown.

use std::fmt::{self, Display, Formatter, Write};

use serde::{Deserialize, Serialize};

use crate::{
    answers::Accuracy,
    row::{Row, Spread, percent},
};

/// The figures of one measurement. `Display` writes it as Markdown.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// What was measured, in a line.
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
    /// Name of the row whose pace is 1 in the column of ratios; `None` omits the column.
    pub(crate) unit: Option<String>,
    pub(crate) goals: Vec<Goal>,
    /// Further observations, a line each.
    pub(crate) notes: Vec<String>,
    /// Peers that did not take part, and why.
    pub(crate) absent: Vec<String>,
    /// Settings of the network namespace.
    pub(crate) settings: Vec<String>,
    /// The times that the picture of times shows; `None` leaves the section out.
    #[serde(default)]
    pub(crate) times: Option<Times>,
}

/// Which time of each row the picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Times {
    /// That of the row's own pieces.
    Own,
    /// That of this many pieces, at the row's pace.
    Pieces(usize),
}

/// A figure, and the bound that it must keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// The name of the figure.
    pub(crate) what: String,
    value: Spread,
    pub(crate) bound: f64,
    pub(crate) wanted: Wanted,
    kind: Kind,
}

/// The side of the bound on which a figure must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wanted {
    AtLeast,
    AtMost,
}

/// How a figure is formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// With two decimals.
    Ratio,
    /// Without decimals when it is whole.
    Number,
}

impl Goal {
    /// A ratio that must be at least `bound`.
    pub(crate) fn at_least(what: impl Into<String>, value: Spread, bound: f64) -> Self {
        Self { what: what.into(), value, bound, wanted: Wanted::AtLeast, kind: Kind::Ratio }
    }

    /// A ratio that must be at most `bound`.
    pub(crate) fn at_most(what: impl Into<String>, value: Spread, bound: f64) -> Self {
        Self { wanted: Wanted::AtMost, ..Self::at_least(what, value, bound) }
    }

    /// A single figure that is not a ratio.
    pub(crate) fn number(what: impl Into<String>, value: f64, wanted: Wanted, bound: f64) -> Self {
        let value = Spread::of([value]);
        Self { wanted, kind: Kind::Number, ..Self::at_least(what, value, bound) }
    }

    pub(crate) fn is_reached(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast => self.value.median >= self.bound,
            Wanted::AtMost => self.value.median <= self.bound,
        }
    }

    fn cells(&self) -> Vec<String> {
        let decimals =
            |figure: f64| if self.kind == Kind::Number && figure.fract() == 0.0 { 0 } else { 2 };
        let side = match self.wanted {
            Wanted::AtLeast => "at least",
            Wanted::AtMost => "at most",
        };
        vec![
            self.what.clone(),
            self.value.to_fixed(decimals(self.value.median)),
            format!("{side} {:.*}", decimals(self.bound), self.bound),
            if self.is_reached() { "reached" } else { "**missed**" }.to_owned(),
        ]
    }
}

impl Section {
    /// The rows as a table, without columns that are empty in each of them.
    fn figures(&self) -> String {
        let unit = self.rows.iter().find(|row| Some(&row.name) == self.unit.as_ref());
        let cells = |row: &Row| {
            let accuracy = row.accuracy.filter(|accuracy| accuracy.of > 0);
            let found = accuracy.map(|Accuracy { open, of, .. }| {
                format!("{open} of {of} ({:.2} %)", percent(open, of))
            });
            // 1 µs per piece is 0.1 s per 100,000 pieces.
            let Spread { median, lowest, highest } = row.cpu;
            let cpu = Spread::of([median, lowest, highest].map(|micros| micros * 0.1));
            [
                ("", Some(row.name.clone())),
                ("per second", Some(row.pace.to_fixed(0))),
                ("CPU s per 100,000", Some(cpu.to_fixed(3))),
                ("wall s", Some(format!("{:.2}", row.wall.median))),
                ("peak MiB", row.memory_mib.map(|memory| format!("{:.1}", memory.median))),
                ("system calls", row.calls.map(|calls| format!("{calls:.2}"))),
                ("found of the open", found),
                ("false positives", accuracy.map(|accuracy| accuracy.false_open.to_string())),
                ("× in pace", unit.map(|unit| format!("{:.2}", row.pace_ratio(unit).median))),
            ]
        };
        let rows: Vec<_> = self.rows.iter().map(cells).collect();
        let is_used = |nth: usize| rows.iter().any(|row| row[nth].1.is_some());
        let used: Vec<usize> = (0..9).filter(|&nth| is_used(nth)).collect();
        let heads: Vec<&str> = used.iter().map(|&nth| rows[0][nth].0).collect();
        let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
        table(&heads, rows.iter().map(|row| used.iter().map(|&nth| text(&row[nth].1)).collect()))
    }
}

impl Display for Section {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\n### {}\n\n{}", self.title, self.figures())?;
        if !self.goals.is_empty() {
            let goals = table(&["", "measured", "wanted", ""], self.goals.iter().map(Goal::cells));
            write!(f, "\n{goals}")?;
        }
        let commands = self.rows.iter().filter_map(|row| row.command.as_ref());
        let commands: Vec<_> = commands.map(|command| format!("`{command}`")).collect();
        for (title, lines) in
            [("Absent", &self.absent), ("Commands", &commands), ("Notes", &self.notes)]
        {
            if !lines.is_empty() {
                write!(f, "\n{title}:\n\n- {}\n", lines.join("\n- "))?;
            }
        }
        if !self.settings.is_empty() {
            writeln!(f, "\nSettings of the namespace: {}.", self.settings.join("; "))?;
        }
        Ok(())
    }
}

/// A Markdown table whose columns are aligned in the source, too.
pub(crate) fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let escape =
        |cell: String| cell.replace('|', r"\|").split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<Vec<String>> = vec![heads.iter().map(|&head| head.to_owned()).collect()];
    lines.extend(rows.map(|row| row.into_iter().map(escape).collect()));
    let width = |nth: usize| lines.iter().map(|line| line[nth].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text += "|\n";
        if number == 0 {
            let rules: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            let _ = writeln!(text, "|{}|", rules.join("|"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn section_shows_figures_goals_and_absent_peers() {
        let rows = vec![row("the baseline", 1000, &[(500, 1)]), row("ours", 1000, &[(1000, 2)])];
        let value = Spread { median: 1.2, lowest: 1.1, highest: 1.3 };
        let goals = vec![
            Goal::at_least("pace", rows[1].pace_ratio(&rows[0]), 0.8),
            Goal::at_most("a|b", value, 1.15),
            Goal::number("early", 0.0, Wanted::AtMost, 0.0),
        ];
        let section = Section {
            title: "Targets".into(),
            unit: Some("the baseline".into()),
            rows,
            goals,
            absent: vec!["masscan is not installed".into()],
            ..Section::default()
        };
        let expected = "
### Targets

|              | per second | CPU s per 100,000 | wall s | peak MiB | × in pace |
|--------------|------------|-------------------|--------|----------|-----------|
| the baseline | 2000       | 0.100             | 0.50   | 2.0      | 1.00      |
| ours         | 1000       | 0.200             | 1.00   | 2.0      | 0.50      |

|       | measured           | wanted        |            |
|-------|--------------------|---------------|------------|
| pace  | 0.50               | at least 0.80 | **missed** |
| a\\|b  | 1.20 (1.10 – 1.30) | at most 1.15  | **missed** |
| early | 0                  | at most 0     | reached    |

Absent:

- masscan is not installed
";
        assert_eq!(section.to_string(), expected);
    }
}
