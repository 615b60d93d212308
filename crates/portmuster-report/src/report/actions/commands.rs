//! Commands that check again what was found.

use std::{ffi::OsStr, path::Path};

use serde::Serialize;

use crate::{report::run::RunSection, text::grouped};

/// A command to run, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NextCommand {
    /// What it is for: a few words.
    pub purpose: String,
    /// The command line for a shell.
    pub command: String,
}

/// Returns the commands: the first telnet targets alone, the whole check, and the comparison with this run.
/// `telnet` has these targets and the number of all.
pub(super) fn list(telnet: (&[String], u64), run: &RunSection) -> Vec<NextCommand> {
    let mut commands = Vec::new();
    let mut push = |purpose: &str, command: String| {
        commands.push(NextCommand { purpose: purpose.to_owned(), command });
    };
    let (targets, count) = telnet;
    let words: Option<Vec<_>> = targets.iter().map(|target| word(target)).collect();
    if let Some(words) = words.filter(|words| !words.is_empty()) {
        let command = format!("portmuster check {} --forbid telnet", words.join(" "));
        if words.len() as u64 == count {
            push("The telnet targets:", command);
        } else {
            let (first, all) = (words.len(), grouped(count));
            push(&format!("The first {first} of {all} telnet targets:"), command);
            if let Some(run) = Origin::of(&run.source).and_then(|_| word(&run.source)) {
                push(&format!("All {all} telnet targets (with jq):"), check_all(&run));
            }
        }
    }
    // A command that was too long is cut.
    if run.command.starts_with("portmuster check ") && !run.command.ends_with('…') {
        push("Everything, as in this run:", run.command.clone());
    }
    if let Some((purpose, command)) = comparison(&run.source) {
        push(&purpose, command);
    }
    commands
}

/// Returns the command that checks every telnet target of a run, whose name is a word of a shell.
fn check_all(run: &str) -> String {
    format!(
        "portmuster report {run} --json | jq -r '.open[] | select(.class == \"telnet\").target' | \
         portmuster check -i - --forbid telnet"
    )
}

/// Returns the command that compares a later run with this one, and what it compares; `None`: this run has
/// no file.
///
/// A database gets the later run itself, by which a run that is counted from the last one moves on; an id
/// stays. Rows are in a file of their own.
fn comparison(source: &str) -> Option<(String, String)> {
    let (file, since, compared) = match Origin::of(source)? {
        Origin::Rows(file) => {
            ("LATER.jsonl", file.to_owned(), "The run in LATER.jsonl, compared with this one:")
        }
        Origin::Database(file) => match source[file.len()..].strip_prefix('#') {
            Some(id) if id.parse::<u64>().is_ok() => {
                (file, source.to_owned(), "The last run of the database, compared with this one:")
            }
            run => {
                let back = match run.map(str::parse::<i64>) {
                    Some(Ok(back @ ..0)) => back.saturating_sub(1),
                    _ => -2,
                };
                let compared = "The next run of the database, compared with this one \
                                (after more runs, name this one by its id):";
                (file, format!("{file}#{back}"), compared)
            }
        },
    };
    let command =
        format!("portmuster report {} --since {} -o changes.html", word(file)?, word(&since)?);
    Some((compared.to_owned(), command))
}

/// Returns the command that compares a run with an earlier one.
pub(crate) fn compare_with_earlier(source: &str) -> String {
    let known = match Origin::of(source) {
        Some(Origin::Database(file)) => earlier_in(file, &source[file.len()..]),
        Some(Origin::Rows(file)) => word(file)
            .map(|file| format!("portmuster report {file} --since EARLIER.jsonl -o changes.html")),
        None => None,
    };
    known.unwrap_or_else(|| {
        "portmuster report RUN.jsonl --since EARLIER.jsonl -o changes.html".to_owned()
    })
}

/// Returns the command that compares a run of a database with the one before it; `run` is empty or begins
/// with `#`.
fn earlier_in(file: &str, run: &str) -> Option<String> {
    let earlier = match run.strip_prefix('#').map(str::parse::<i64>) {
        Some(Ok(back @ ..0)) => back.saturating_sub(1).to_string(),
        Some(Ok(_)) => "EARLIER".to_owned(),
        _ => "-2".to_owned(),
    };
    let (run, earlier) = (word(&format!("{file}{run}"))?, word(&format!("{file}#{earlier}"))?);
    Some(format!("portmuster report {run} --since {earlier} -o changes.html"))
}

/// The file of a run.
enum Origin<'a> {
    /// A database, which has several runs.
    Database(&'a str),
    /// Rows of one run.
    Rows(&'a str),
}

impl<'a> Origin<'a> {
    /// Recognises the file by the name of the run; `None`: it has another name.
    fn of(source: &'a str) -> Option<Self> {
        let extension = Path::new(source).extension().and_then(OsStr::to_str).unwrap_or_default();
        let has_extension =
            |names: &[&str]| names.iter().any(|name| extension.eq_ignore_ascii_case(name));
        match source.rsplit_once('#') {
            Some((file, _)) => Some(Self::Database(file)),
            None if has_extension(&["db", "sqlite", "sqlite3"]) => Some(Self::Database(source)),
            None => has_extension(&["jsonl"]).then_some(Self::Rows(source)),
        }
    }
}

/// Returns a text as a word of a shell; `None`: it has characters that need more than quotes.
fn word(text: &str) -> Option<String> {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || ".:-_/%".contains(it);
    let is_quotable = |it: char| is_plain(it) || "[]# ".contains(it);
    match text {
        "" => None,
        _ if text.starts_with('-') => None,
        _ if text.chars().all(is_plain) => Some(text.to_owned()),
        _ => text.chars().all(is_quotable).then(|| format!("'{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collector, Facts, Report, RunRecord};

    fn commands(targets: &[&str], count: u64, source: &str, command: &str) -> Vec<String> {
        let json = serde_json::json!({"schema": 1, "type": "summary", "arguments": command});
        let record = RunRecord::parse(json.to_string().as_bytes()).expect("it is a summary");
        let facts = Facts { source: source.into(), record: Some(record), ..Facts::default() };
        let run = Report::new(Collector::default(), facts).run;
        let targets: Vec<_> = targets.iter().map(|&target| target.to_owned()).collect();
        let commands = list((&targets, count), &run);
        commands.into_iter().map(|next| format!("{} {}", next.purpose, next.command)).collect()
    }

    #[test]
    fn commands_check_the_telnet_targets_and_everything_and_compare() {
        let check = "portmuster check 10.0.0.0/24";
        assert_eq!(
            commands(&["10.0.0.1:23", "[::1]:23"], 9, "a.db#last", check),
            [
                "The first 2 of 9 telnet targets: portmuster check 10.0.0.1:23 '[::1]:23' --forbid telnet",
                "All 9 telnet targets (with jq): portmuster report 'a.db#last' --json | jq -r '.open[] | \
                 select(.class == \"telnet\").target' | portmuster check -i - --forbid telnet",
                "Everything, as in this run: portmuster check 10.0.0.0/24",
                "The next run of the database, compared with this one (after more runs, name this one by its \
                 id): portmuster report a.db --since 'a.db#-2' -o changes.html",
            ]
        );
        let rows = commands(&["a:23"], 1, "rows.jsonl", "");
        assert_eq!(
            rows,
            [
                "The telnet targets: portmuster check a:23 --forbid telnet",
                "The run in LATER.jsonl, compared with this one: portmuster report LATER.jsonl --since \
                 rows.jsonl -o changes.html",
            ]
        );
    }

    #[test]
    fn command_that_compares_a_later_run_names_this_one() {
        let since = |source| comparison(source).expect("it has a file").1;
        let command = |run| format!("portmuster report a.db --since 'a.db#{run}' -o changes.html");
        assert_eq!([since("a.db"), since("a.db#-3")], [command("-2"), command("-4")]);
        assert_eq!(since("a.db#7"), command("7"));
    }

    #[test]
    fn command_that_compares_with_an_earlier_run_names_this_run() {
        let compare = compare_with_earlier;
        assert_eq!(compare("a.db"), "portmuster report a.db --since 'a.db#-2' -o changes.html");
        let id = "portmuster report 'a.db#7' --since 'a.db#EARLIER' -o changes.html";
        assert_eq!(compare("a.db#7"), id);
        let rows = "portmuster report rows.jsonl --since EARLIER.jsonl -o changes.html";
        assert_eq!(compare("rows.jsonl"), rows);
        let any = "portmuster report RUN.jsonl --since EARLIER.jsonl -o changes.html";
        assert_eq!([compare("this run"), compare("$(x).jsonl")], [any, any]);
    }

    #[test]
    fn text_that_a_shell_would_run_is_in_no_command() {
        let hostile = ["$(reboot):23", "a`b`:23", "a';b:23", "-i:23", "a&b:23"];
        for target in hostile {
            assert!(commands(&[target], 1, "this run", "").is_empty(), "{target}");
        }
        assert!(commands(&[], 0, "$(reboot).db", "").is_empty());
    }
}
