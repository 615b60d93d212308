//! Common mistakes on the command line, and the command that was probably meant.
//!
//! One table, [`MISTAKES`], has a row for each mistake. A row never rejects a command line that does
//! what it says; it only explains one that is refused anyway, or whose words would be taken as something
//! else, such as a port as a host name.
//!
//! Invariant: a command is suggested only if the program would accept it (`verify`), and if it has no
//! further mistake. Otherwise the message says what is wrong, and suggests nothing.

use std::ffi::OsString;

use self::edit::{Corrected, Edit};
use crate::command_line::CommandLine;

mod commands;
mod edit;
mod nearest;
mod options;
mod outputs;
mod ports;
mod runs;
mod spelling;
mod targets;
mod values;
mod verify;
mod words;

pub(crate) use self::verify::summary;

/// Maximum number of mistakes that one message explains.
const REASONS_MAX: usize = 4;

/// Maximum number of edits of one command line, so that edits which undo each other end.
const EDITS_MAX: usize = 64;

/// Maximum length of a suggested command, in characters. A longer one is not printed.
const COMMAND_MAX: usize = 2_000;

/// A mistake that many make.
#[cfg_attr(not(test), expect(dead_code, reason = "the examples are for readers and tests"))]
struct Mistake {
    /// A command line with this mistake, without the name of the program.
    given: &'static str,
    /// The command line that is suggested for it; empty: none is, because it is unknown what was meant.
    meant: &'static str,
    /// Finds the first such mistake of a command line.
    find: fn(&CommandLine) -> Option<Edit>,
}

const fn row(
    given: &'static str,
    meant: &'static str,
    find: fn(&CommandLine) -> Option<Edit>,
) -> Mistake {
    Mistake { given, meant, find }
}

/// The mistakes, in the order in which they are corrected.
#[rustfmt::skip]
static MISTAKES: &[Mistake] = &[
    row("check 10.0.0.1 \u{2013}p 22", "check 10.0.0.1 -p 22", options::typographic_dash),
    row("-v", "--version", commands::help_or_version),
    row("check help", "check --help", commands::help_after_command),
    row("-q check 10.0.0.1", "check -q 10.0.0.1", commands::options_before_command),
    row("check -T 4 10.0.0.1", "check --profile fast 10.0.0.1", options::template_or_time_limit),
    row("help -h", "--help", commands::help_of_help),
    row("explain 10.0.0.1:22 -v", "explain 10.0.0.1:22", words::verbose_explain),
    row("explain weak", "list findings", words::meaning_of_word),
    row("list services -o json", "list services --json", words::output_of_list),
    row("10.0.0.1", "check 10.0.0.1", commands::missing_command),
    row("sacn 10.0.0.1", "check 10.0.0.1", commands::unknown_command),
    row("list 10.0.0.1", "check --list 10.0.0.1", commands::list_of_targets),
    row("demo 10.0.0.1", "check 10.0.0.1", commands::targets_of_demo),
    row("compare a.jsonl b.jsonl", "diff a.jsonl b.jsonl", commands::runs_of_compare),
    row("diff a.db", "diff a.db#-2 a.db#last", commands::diff_of_one),
    row("diff --since a.jsonl b.jsonl", "diff a.jsonl b.jsonl", runs::since_of_diff),
    row("diff a.db 1 2", "diff a.db#1 a.db#2", runs::numbers_of_diff),
    row("diff a.jsonl b.jsonl -o out.txt", "", runs::file_of_diff),
    row("diff a.jsonl", "", runs::later_run_missing),
    row("report a.jsonl --html", "report a.jsonl", runs::option_of_report),
    row("report a.jsonl out.html", "report a.jsonl -o out.html", runs::second_of_report),
    row("report a.jsonl -o html=a.html", "report a.jsonl -o a.html", runs::output_of_report),
    row("report a.db --since 1", "report a.db --since a.db#1", runs::number_after_since),
    row("report 10.0.0.1", "", runs::host_for_run),
    row("check 10.0.0.1 -o out.txt --json", "check 10.0.0.1 -o jsonl=out.txt", outputs::format_and_file),
    row("diff a b --json", "diff a b -o jsonl", outputs::json_of_diff),
    row("list --services", "list services", values::option_for_argument),
    row("check -sS -iL /dev/null -oX a.xml", "check -i /dev/null -o xml=a.xml", options::foreign_option),
    row("check 10.0.0.1 -ports 22", "check 10.0.0.1 --ports 22", options::long_after_one_dash),
    row("check 10.0.0.1 --resume a.journal", "check 10.0.0.1 --journal a.journal --resume -o jsonl=FILE", options::resume_without_journal),
    row("explain 10.0.0.1 -p 22", "explain 10.0.0.1:22", ports::of_explain),
    row("compare 10.0.0.1 --rate 5", "compare 10.0.0.1", options::check_option_of_compare),
    row("check 10.0.0.1 --methods threads", "check 10.0.0.1 --method threads", options::methods_of_check),
    row("explain 10.0.0.1:22 --rate 5", "check 10.0.0.1:22 --rate 5", options::option_of_other_command),
    row("check 10.0.0.1 --require telnet", "check 10.0.0.1 --forbid telnet --require-verdict", words::value_of_require),
    row("check 10.0.0.1 --prots 22", "check 10.0.0.1 --ports 22", options::misspelled_option),
    row("check 10.0.0.1 --no-such 22", "", options::unknown_option),
    row("check 10.0.0.1 --quiet=true", "check 10.0.0.1 --quiet", options::value_of_flag),
    row("check 10.0.0.1 -vv", "check 10.0.0.1 -v", options::repeated_flag),
    row("check 10.0.0.1 -p-", "check 10.0.0.1 -p1-65535", ports::other_notation),
    row("check 10.0.0.1 -p 22 -p 23", "check 10.0.0.1 -p 22,23", ports::repeated),
    row("check 10.0.0.1 --rate 10,000", "check 10.0.0.1 --rate 10000", values::number),
    row("check 10.0.0.1 --shard 1:4", "check 10.0.0.1 --shard 1/4", values::shard),
    row("check 10.0.0.1 --proxy a.example:1080", "check 10.0.0.1 --proxy socks5://a.example:1080", values::proxy),
    row("check 10.0.0.1 --show ssh telnet", "check 10.0.0.1 --show ssh,telnet", values::value_after_value),
    row("check 10.0.0.1 --forbid ssh2", "", values::version_2),
    row("check 10.0.0.1 --order shufled", "check 10.0.0.1 --order shuffled", values::misspelled_value),
    row("list service", "list services", values::misspelled_argument),
    row("check 10.0.0.1 --rate -1", "", words::negative),
    row("check p 22 10.0.0.1", "check -p 22 10.0.0.1", words::option_without_dash),
    row("check -p 10.0.0.1 22", "check -p 22 10.0.0.1", words::target_as_ports),
    row("check 10.0.0.1 --labels web", "check 10.0.0.1", words::value_of_labels),
    row("check 10.0.0.1 --force", "check 10.0.0.1", words::needless_force),
    row("check 10.0.0.1 --threads 9", "check 10.0.0.1 --in-flight 9", words::threads),
    row("check //10.0.0.1", "check 10.0.0.1", words::slashes),
    row("check 10.0.0.1 -o json=a.txt", "check 10.0.0.1 -o jsonl=a.txt", outputs::format_name),
    row("check 10.0.0.1 -o table=a,jsonl=b", "check 10.0.0.1 -o table=a -o jsonl=b", outputs::joined_outputs),
    row("check 10.0.0.1 -o result.json", "check 10.0.0.1 -o jsonl=result.json", outputs::output_without_format),
    row("check 10.0.0.1 -o jsonl result.jsonl", "check 10.0.0.1 -o jsonl=result.jsonl", outputs::output_as_two_words),
    row("check 10.0.0.1 --summary a.json", "check 10.0.0.1 --summary json=a.json", outputs::summary_without_format),
    row("check -i 10.0.0.0/24", "check 10.0.0.0/24", targets::target_as_file),
    row("check -i /dev/null,/dev/null", "check -i /dev/null -i /dev/null", targets::joined_files),
    row("check --exclude /dev/null 10.0.0.1", "check --exclude-file /dev/null 10.0.0.1", targets::exclude_as_file),
    row("check 10.0.0.0/24 --exclude 10.0.0.1,10.0.0.2", "check 10.0.0.0/24 --exclude 10.0.0.1 --exclude 10.0.0.2", spelling::joined_excludes),
    row("check 10.0.0.0/24 --exclude 10.0.0.1 10.0.0.2", "check 10.0.0.0/24 --exclude 10.0.0.1 --exclude 10.0.0.2", targets::exclude_after_exclude),
    row("check 10.0.0.1 - 10.0.0.5", "check 10.0.0.1-10.0.0.5", spelling::separate_words),
    row("check -", "check -i -", targets::stdin_as_target),
    row("check /dev/null", "check -i /dev/null", targets::file_as_target),
    row("check check 10.0.0.1", "check 10.0.0.1", commands::command_as_target),
    row("check user@10.0.0.1:22", "check 10.0.0.1:22", spelling::other_notation),
    row("check no-such.txt -p 22", "", targets::missing_file),
    row("check 10.0.0.1 22 23", "check 10.0.0.1:22,23", ports::among_targets),
    row("explain 10.0.0.1", "explain 10.0.0.1:22", targets::explain_without_port),
    row("explain 10.0.0.1:22 10.0.0.2:22", "check 10.0.0.1:22 10.0.0.2:22", targets::explain_of_several),
];

/// A command line with mistakes, and the one that was probably meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Correction {
    /// What is wrong, for an error message.
    pub(crate) reason: String,
    /// `None`: the reason says what to type.
    pub(crate) suggestion: Option<Suggestion>,
}

/// A command that the program accepts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suggestion {
    /// The whole command, quoted for a shell.
    pub(crate) command: String,
    /// Whether it does all that was typed. If not, the reason says what it lacks.
    pub(crate) is_whole: bool,
}

/// Finds the mistakes of a command line; `None` if it has none that the table knows.
///
/// `words` are the arguments after the name of the program.
pub(crate) fn correct(words: &[OsString]) -> Option<Correction> {
    let words = words.iter().map(|word| word.to_str().map(str::to_owned));
    let mut line = CommandLine::new(words.collect::<Option<_>>()?);
    let mut reasons: Vec<String> = Vec::new();
    let mut is_whole = true;
    let mut is_known = true;
    for _ in 0..EDITS_MAX {
        let Some(Edit { reason, corrected }) = next_edit(&line) else { break };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
        let words = match corrected {
            Corrected::Whole(words) => words,
            Corrected::Partial(words) => {
                is_whole = false;
                words
            }
            Corrected::Unknown => {
                is_known = false;
                break;
            }
        };
        line = CommandLine::new(words);
    }
    if reasons.is_empty() {
        return None;
    }
    let defect = if is_known { verify::defect(line.words()) } else { None };
    let is_accepted = is_known && defect.is_none() && next_edit(&line).is_none();
    reasons.truncate(REASONS_MAX);
    reasons.extend(defect);
    let command = is_accepted.then(|| line.quoted());
    let command = command.filter(|command| command.chars().count() <= COMMAND_MAX);
    let suggestion = command.map(|command| Suggestion { command, is_whole });
    Some(Correction { reason: reasons.join("; "), suggestion })
}

/// Finds the first mistake that a command line has: of files first, which the table can't show.
fn next_edit(line: &CommandLine) -> Option<Edit> {
    words::input_and_letter(line)
        .or_else(|| words::database_as_list(line))
        .or_else(|| MISTAKES.iter().find_map(|mistake| (mistake.find)(line)))
}

#[cfg(test)]
mod newcomers;
#[cfg(test)]
mod tests;
