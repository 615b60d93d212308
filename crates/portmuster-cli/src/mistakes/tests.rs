use clap::Parser;

use super::{newcomers, *};
use crate::args::Program;

fn correction(line: &str) -> Option<Correction> {
    let words: Vec<_> =
        line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect();
    correct(&words)
}

/// Returns the command that is suggested, without the name of the program; empty: none is.
fn suggested(line: &str) -> Option<String> {
    let suggestion = correction(line)?.suggestion;
    let command = suggestion.map(|it| it.command.trim_start_matches("portmuster ").to_owned());
    Some(command.unwrap_or_default())
}

/// Asserts that the program accepts a command.
fn assert_accepted(line: &str) {
    let words = std::iter::once("portmuster").chain(line.split(' '));
    match Program::try_parse_from(words) {
        Ok(_) => {}
        Err(error) => assert!(!error.use_stderr(), "{line}: {error}"),
    }
}

#[test]
fn each_mistake_of_the_table_is_corrected_to_a_valid_command() {
    for Mistake { given, meant, .. } in MISTAKES {
        assert_eq!(suggested(given).as_deref(), Some(*meant), "{given}: {:?}", correction(given));
        if !meant.is_empty() {
            let unquoted = meant.replace('\'', "");
            assert_eq!(correction(&unquoted), None, "{meant}");
            assert_accepted(&unquoted);
        }
    }
}

#[test]
fn several_mistakes_are_corrected_in_one_command() {
    let given = "-Pn -T4 user@10.0.0.1,10.0.0.2 -p- -oX a.xml --max-rate=5";
    let meant = "check --profile fast 10.0.0.1 10.0.0.2 -p1-65535 -o xml=a.xml --rate=5";
    assert_eq!(suggested(given).as_deref(), Some(meant));
    let reason = "portmuster always connects, without a ping before it";
    assert!(correction(given).is_some_and(|it| it.reason.contains(reason)));
}

#[test]
fn valid_command_lines_are_left_alone() {
    for line in [
        "",
        "--help",
        "help check",
        "check",
        "check db.example localhost 10.0.0.0/24 [2001:db8::1]:ssh 2001:db8::/120",
        "check 10.0.0.* 10.0.0.1-50 10.0.0.1,3,5 10.0.0-3.1-254:22,23 10.0.0.1-10.0.3.9",
        "check ssh://host telnet://host:23 ssh://user@db.example:2222/",
        "check -i- -p22 -ojsonl=a -o table -o sqlite=b.db --summary json=c --rate 10k",
        "check 10.0.0.1 -p ssh,telnet,2222-2230 --exclude 10.0.0.9 --seed -1 --rate=max",
        "--color never check 10.0.0.1 --color=always -v -46 -- 10.0.0.2",
        "check --exclude 10.0.0.9 10.0.0.0/24 db.txt:22 ssh:22 check:22 ssh. db1 10-0-0-1",
        "check 10.0.0.0/24 --exclude 10.0.0.9 10.0.1.1 --show ssh,weak --allow unresolved",
        "check 10.0.0.1 --profile fast --order given --color=never --retries 0",
        "explain 10.0.0.1:22 --first-byte 5s",
        "explain db:ssh -4 --no-kex",
        "diff a.db#-2 a.db --show all",
        "compare 10.0.0.0/24 --rounds 5 -o jsonl --methods serial,threads",
        "report a.jsonl -o a.html --summary a.json",
        "list services --json",
        "man check --dir x",
        "worker",
    ] {
        assert_eq!(correction(line), None, "{line}");
    }
}

#[test]
fn suggested_commands_are_quoted_for_a_shell() {
    let words = ["10.0.0.*", "--exclude", "[::2]", "-o", "jsonl=it's", "-i", "a b", "[::1]:22"];
    let correction = correct(&words.map(OsString::from)).expect("the command is missing");
    let suggestion = correction.suggestion.expect("it is accepted");
    let expected =
        r"portmuster check '10.0.0.*' --exclude '[::2]' -o 'jsonl=it'\''s' -i 'a b' '[::1]:22'";
    assert_eq!(suggestion.command, expected);
}

#[test]
fn each_suggestion_to_newcomers_is_a_valid_command() {
    for (typed, meant) in newcomers::TYPED {
        let suggested = suggested(typed);
        assert_eq!(suggested.as_deref(), Some(*meant), "{typed}: {:?}", correction(typed));
        if !meant.is_empty() {
            let unquoted = meant.replace('\'', "");
            assert_accepted(&unquoted);
            assert_eq!(correction(&unquoted), None, "{meant}");
        }
    }
}

#[test]
fn suggestions_that_keep_everything_have_each_host_file_and_number() {
    for (typed, _) in newcomers::TYPED {
        let Some(Suggestion { command, is_whole: true }) =
            correction(typed).and_then(|it| it.suggestion)
        else {
            continue;
        };
        let parts = typed.split(|it: char| !it.is_ascii_alphanumeric());
        for part in parts.filter(|part| part.contains(|it: char| it.is_ascii_digit())) {
            let number = part.trim_matches(|it: char| !it.is_ascii_digit());
            // Masks, and numbers of nmap's timing.
            let is_renamed = ["255", "4", "5"].contains(&number);
            assert!(is_renamed || command.contains(number), "{typed}: {command}");
        }
    }
}
