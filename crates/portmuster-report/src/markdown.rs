//! A report as Markdown, for a ticket or a pull request.

use std::fmt::Write;

use crate::{
    class::Class,
    report::{Report, TallyLine, VerdictKind},
    text::{duration, grouped, moment, percent},
};

/// The most lines of each table.
const LINES_MAX: usize = 10;

impl Report {
    /// Returns a summary in Markdown: the verdict, what to do, what changed, and tables of networks and
    /// weaknesses.
    ///
    /// Text of servers is escaped, so that it is neither markup nor a link.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        let sign = match self.verdict.kind {
            VerdictKind::Found => "❌",
            VerdictKind::Free => "✅",
            _ => "⚠️",
        };
        let _ = writeln!(text, "## {sign} {}\n", self.verdict.sentence);
        let _ = writeln!(text, "{}\n", escaped(&self.scope.sentence));
        self.push_answers(&mut text);
        self.push_doubts(&mut text);
        self.push_gates(&mut text);
        self.push_actions(&mut text);
        self.push_changes(&mut text);
        self.push_networks(&mut text);
        self.push_weaknesses(&mut text);
        self.push_host_keys(&mut text);
        self.push_run(&mut text);
        text
    }

    /// Answers the first questions about a run in a line each.
    fn push_answers(&self, text: &mut String) {
        if !self.verdict.place.is_empty() {
            let _ = writeln!(text, "- **Where?** {}", escaped(&self.verdict.place));
        }
        if !self.verdict.certainty.is_empty() {
            text.push_str("- **How sure?**\n");
            for sentence in &self.verdict.certainty {
                let _ = writeln!(text, "  - {sentence}");
            }
        }
        let changed = match &self.changes {
            Some(changes) => escaped(&changes.sentence),
            None => "This run was not compared with an earlier one.".to_owned(),
        };
        let _ = writeln!(text, "- **What changed?** {changed}");
    }

    fn push_doubts(&self, text: &mut String) {
        if self.verdict.unproven.is_empty() {
            return;
        }
        text.push_str("\n| targets | are undecided, because they |\n|---:|---|\n");
        for doubt in &self.verdict.unproven {
            let (count, doubt) = (grouped(doubt.count), doubt.doubt);
            let _ = writeln!(text, "| {count} | {} (`{doubt}`) |", doubt.meaning());
        }
    }

    fn push_gates(&self, text: &mut String) {
        let Some(gates) = &self.gates else { return };
        let result = if gates.violated { "violated" } else { "passed" };
        let _ = writeln!(text, "\n**Gates: {result}.**");
        for item in &gates.items {
            let _ = writeln!(
                text,
                "- no `{}`: found on {}, proven absent on {}",
                code(&item.item),
                grouped(item.found),
                grouped(item.absent)
            );
        }
    }

    fn push_actions(&self, text: &mut String) {
        if self.actions.is_empty() {
            return;
        }
        text.push_str("\n### What to do first\n\n");
        for action in &self.actions {
            let _ = write!(text, "1. **{}**", action.text);
            if !action.why.is_empty() {
                let _ = write!(text, " {}", escaped(&action.why));
            }
            let targets: Vec<_> =
                action.targets.iter().map(|target| format!("`{}`", code(target))).collect();
            if !targets.is_empty() {
                let more = action.count.saturating_sub(targets.len() as u64);
                let more =
                    if more > 0 { format!(" and {} more", grouped(more)) } else { String::new() };
                let _ = write!(text, " {}{more}", targets.join(", "));
            }
            text.push('\n');
            for next in &action.commands {
                let _ = writeln!(text, "   - {} `{}`", next.purpose, code(&next.command));
            }
        }
    }

    fn push_changes(&self, text: &mut String) {
        let Some(changes) = self.changes.as_ref().filter(|it| !it.lines.is_empty()) else {
            return;
        };
        let _ = writeln!(text, "\n### What changed since `{}`\n", code(&changes.since));
        text.push_str("| target | change | before | now |\n|---|---|---|---|\n");
        for line in changes.lines.iter().take(LINES_MAX) {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                code(&line.target),
                escaped(&line.words()),
                escaped(&line.before),
                escaped(&line.now)
            );
        }
        push_more(text, changes.changed, "changes");
    }

    fn push_networks(&self, text: &mut String) {
        push_tallies(text, "Network", &self.networks);
        if !self.labels.is_empty() {
            push_tallies(text, "Label", &self.labels);
        }
    }

    fn push_weaknesses(&self, text: &mut String) {
        if self.weaknesses.lines.is_empty() {
            return;
        }
        text.push_str("\n| weakness | ssh servers | share |\n|---|---:|---:|\n");
        for line in &self.weaknesses.lines {
            let share = percent(line.count, self.weaknesses.servers);
            let _ =
                writeln!(text, "| {} | {} | {share} |", escaped(&line.name), grouped(line.count));
        }
    }

    fn push_host_keys(&self, text: &mut String) {
        let section = &self.host_keys;
        if section.lines.is_empty() {
            return;
        }
        text.push_str("\n| host key | problem | hosts | targets |\n|---|---|---:|---|\n");
        for line in section.lines.iter().take(LINES_MAX) {
            let (key, targets) = (code(&line.sha256), escaped(&line.targets.join(", ")));
            let (problems, hosts) = (line.problems.join(", "), grouped(line.hosts));
            let _ = writeln!(text, "| `{key}` | {problems} | {hosts} | {targets} |");
        }
        push_more(text, section.lines.len() as u64 + section.more, "host keys");
    }

    fn push_run(&self, text: &mut String) {
        let run = &self.run;
        text.push('\n');
        if !run.command.is_empty() {
            let _ = writeln!(text, "`{}`  ", code(&run.command));
        }
        let _ = write!(text, "{} rows of `{}`", grouped(run.rows), code(&run.source));
        if !run.started.is_empty() {
            let _ = write!(text, ", from {}", moment(&run.started));
        }
        if let Some(account) = &run.account {
            let _ = write!(text, ", in {}", duration(account.elapsed_ms));
        }
        let _ = writeln!(text, "; portmuster {}", run.report_version);
    }
}

fn push_tallies(text: &mut String, title: &str, lines: &[TallyLine]) {
    let classes =
        Class::ALL.into_iter().filter(|&class| lines.iter().any(|it| it.classes.of(class) > 0));
    let classes: Vec<_> = classes.collect();
    let _ = write!(text, "\n| {title} | targets |");
    for class in &classes {
        let _ = write!(text, " {} |", class.label());
    }
    text.push_str("\n|---|---:|");
    text.push_str(&"---:|".repeat(classes.len()));
    text.push('\n');
    for line in lines.iter().take(LINES_MAX) {
        let _ = write!(text, "| {} | {} |", escaped(&line.name), grouped(line.classes.all()));
        for &class in &classes {
            let _ = write!(text, " {} |", grouped(line.classes.of(class)));
        }
        text.push('\n');
    }
    push_more(text, lines.len() as u64, "lines");
}

fn push_more(text: &mut String, all: u64, what: &str) {
    if let Some(more @ 1..) = all.checked_sub(LINES_MAX as u64) {
        let _ = writeln!(text, "\n{} more {what} are in the page.", grouped(more));
    }
}

/// Escapes text for a cell of a table: each character that may be markup, a link or a mention is
/// written with a backslash or as a reference.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' => escaped.push_str("&#64;"),
            ':' => escaped.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '|' | '!' | '~' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Returns text for a span of code in a table: without the characters that would end it.
fn code(text: &str) -> String {
    text.replace(['`', '|'], "'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collector, Facts};

    #[test]
    fn markup_of_strangers_stays_text() {
        assert_eq!(escaped("<b>|[x](http://y) @me"), r"&lt;b&gt;\|\[x\]\(http&#58;//y\) &#64;me");
        assert_eq!(code("a`|b"), "a''b");
    }

    #[test]
    fn summary_has_the_verdict_what_to_do_and_the_networks() {
        let mut rows = Collector::default();
        for row in [
            r#""host":"10.0.0.5","port":23,"state":"open","service":"telnet""#,
            r#""host":"10.0.0.5","port":22,"state":"open","service":"ssh","findings":["cbc"]"#,
            r#""host":"10.0.0.6","port":23,"state":"filtered""#,
        ] {
            let line = format!(r#"{{"schema":1,"reason":"x",{row}}}"#);
            rows.add_line(line.as_bytes()).expect("it is a row");
        }
        let text = Report::new(rows, Facts::default()).to_markdown();
        for part in [
            "## ❌ Telnet was found on 1 of 3 targets; 1 gave no answer.",
            "2 hosts in 10.0.0.0/24, ports 22 and 23&#58; 3 targets.",
            "- **Where?** Telnet is in 10.0.0.0/24 \\(1 target\\). Its host is 10.0.0.5, port 23. 1 of 2 hosts answered.",
            "- **How sure?**\n  - Proven: the telnet target sent telnet commands;",
            "- **What changed?** This run was not compared with an earlier one.",
            "| 1 | gave no answer, or a device on the way rejected the connection (`filtered`) |",
            "   - The telnet targets: `portmuster check 10.0.0.5:23 --forbid telnet`",
            "1. **Turn off telnet on 1 target.** It sends passwords in clear text. `10.0.0.5:23`",
            "| Network | targets | telnet | weak ssh | no answer |",
            "| 10.0.0.0/24 | 3 | 1 | 1 | 1 |",
            "| cbc | 1 | 100 % |",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
