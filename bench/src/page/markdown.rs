//! The page.

use std::fmt::Write;

use super::{Answer, machine::Fact};
use crate::{
    section::{Goal, Section},
    table::{Row, Spread, share},
};

/// Seconds of CPU for 100,000, from microseconds for each.
const PER_100_000: f64 = 0.1;

/// The page, with this picture.
pub(super) fn page(machine: &[Fact], answers: &[Answer], picture: &str) -> String {
    let sections = || answers.iter().filter_map(|answer| answer.sections.as_ref().ok()).flatten();
    let goals: Vec<&Goal> = sections().flat_map(|section| &section.goals).collect();
    let reached = goals.iter().filter(|goal| goal.is_reached()).count();
    let mut page = String::from(
        "# Results\n\nWritten by `cargo xtask bench`. [README.md](README.md) says what is asked, \
        and how it is measured.\nFigures are medians, with the lowest and the highest in brackets.\n",
    );
    let _ = writeln!(page, "\n{reached} of {} goals are reached.", goals.len());
    let _ =
        writeln!(page, "\n![The pace of portmuster, as a multiple of that of others]({picture})");
    let _ = writeln!(page, "\n| | |\n|---|---|");
    for (name, fact) in machine {
        let _ = writeln!(page, "| {name} | {} |", cell(fact));
    }
    for answer in answers {
        let _ = writeln!(page, "\n## {}\n\n`{}`", answer.title, answer.command);
        match &answer.sections {
            Ok(sections) => sections.iter().for_each(|section| page += &told(section)),
            Err(error) => {
                let _ = writeln!(page, "\nNot answered: {}", cell(&format!("{error:#}")));
            }
        }
    }
    page
}

fn told(section: &Section) -> String {
    let mut text = format!("\n### {}\n", capital(&section.title));
    let unit = section.rows.iter().find(|row| Some(&row.name) == section.unit.as_ref());
    text += &table(&section.rows, unit);
    if !section.goals.is_empty() {
        text += "\n| | measured | wanted | |\n|---|---|---|---|\n";
    }
    for goal in &section.goals {
        let verdict = if goal.is_reached() { "reached" } else { "**missed**" };
        let (what, value, wanted) = (cell(&goal.what), goal.value(), goal.wanted());
        let _ = writeln!(text, "| {what} | {value} | {wanted} | {verdict} |");
    }
    let commands = section.rows.iter().filter_map(|row| row.command.as_ref());
    let commands: Vec<_> = commands.map(|command| format!("`{command}`")).collect();
    for (title, lines) in [
        ("Not there", &section.absent),
        ("Commands", &commands),
        ("Seen, and tried", &section.notes),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{title}:\n\n- {}", lines.join("\n- "));
        }
    }
    if !section.settings.is_empty() {
        let _ = writeln!(text, "\nIn force in the namespace: {}.", section.settings.join("; "));
    }
    text
}

/// A column: its head, and what it has of each row.
type Column<'a> = (&'static str, Box<dyn Fn(&Row) -> Option<String> + 'a>);

fn table(rows: &[Row], unit: Option<&Row>) -> String {
    let found = |row: &Row| row.found.filter(|found| found.of > 0);
    let columns: [Column<'_>; 8] = [
        ("per second", Box::new(|row| Some(spread(row.pace, 0)))),
        ("CPU s per 100,000", Box::new(|row| Some(spread(times(row.cpu, PER_100_000), 3)))),
        ("wall s", Box::new(|row| Some(format!("{:.2}", row.wall.median)))),
        ("peak MiB", Box::new(|row| Some(format!("{:.1}", row.memory_mib?.median)))),
        ("system calls", Box::new(|row| Some(format!("{:.2}", row.calls?)))),
        (
            "found of the open",
            Box::new(move |row| {
                let found = found(row)?;
                let share = share(found.open, found.of);
                Some(format!("{} of {} ({share:.2} %)", found.open, found.of))
            }),
        ),
        ("false positives", Box::new(move |row| Some(found(row)?.false_open.to_string()))),
        ("× in pace", Box::new(move |row| Some(format!("{:.2}", row.times(unit?).median)))),
    ];
    let columns: Vec<_> =
        columns.iter().filter(|(_, text)| rows.iter().any(|row| text(row).is_some())).collect();
    let heads: Vec<_> = columns.iter().map(|(head, _)| *head).collect();
    let mut table = format!("\n| | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for row in rows {
        let cells: Vec<_> = columns.iter().map(|(_, text)| text(row).unwrap_or_default()).collect();
        let _ = writeln!(table, "| {} | {} |", cell(&row.name), cells.join(" | "));
    }
    table
}

fn times(spread: Spread, by: f64) -> Spread {
    let Spread { median, lowest, highest } = spread;
    Spread { median: median * by, lowest: lowest * by, highest: highest * by }
}

fn spread(Spread { median, lowest, highest }: Spread, digits: usize) -> String {
    if lowest < highest {
        format!("{median:.digits$} ({lowest:.digits$} – {highest:.digits$})")
    } else {
        format!("{median:.digits$}")
    }
}

/// A text that can stand in a table.
fn cell(text: &str) -> String {
    text.replace('|', r"\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::row;

    #[test]
    fn a_page_has_what_was_measured_and_what_was_not() {
        let rows = vec![row("the baseline", 1000, &[(500, 1)]), row("ours", 1000, &[(1000, 2)])];
        let goal = Goal::at_least("pace".into(), rows[1].times(&rows[0]), 0.8);
        let section = Section {
            title: "targets".into(),
            unit: Some("the baseline".into()),
            rows,
            goals: vec![goal],
            absent: vec!["masscan is not installed".into()],
            ..Section::default()
        };
        let command = || "portmuster-bench limit".to_owned();
        let answers = [
            Answer { title: "How near?", command: command(), sections: Ok(vec![section]) },
            Answer { title: "And?", command: command(), sections: Err(anyhow::anyhow!("a|b")) },
        ];
        let page = page(&[("memory", "1 MiB".into())], &answers, "x.svg");
        for line in [
            "0 of 1 goals are reached.",
            "| memory | 1 MiB |",
            "### Targets",
            "| | per second | CPU s per 100,000 | wall s | peak MiB | × in pace |",
            "| ours | 1000 | 0.200 | 1.00 | 2.0 | 0.50 |",
            "| pace | 0.50 | at least 0.80 | **missed** |",
            "- masscan is not installed",
            r"Not answered: a\|b",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }
}
