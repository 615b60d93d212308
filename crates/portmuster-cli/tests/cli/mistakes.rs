//! Mistakes that many make: the message has the right command, and nothing is sent.

use std::fs;

use portmuster_lab::Behaviour;

use crate::{
    folder::Folder,
    program::{Ended, PATH, command, run},
    servers::{assert_untouched, start, target},
};

/// Runs the program in a folder that contains `list.txt`.
fn run_in_folder(line: &str) -> Ended {
    let folder = Folder::new();
    folder.write("list.txt", "127.0.0.1:1\n");
    run(command(PATH).current_dir(folder.path()).args(line.split(' ').skip(1)))
}

#[test]
fn each_mistake_ends_with_status_2_and_the_right_command() {
    let server = start(Behaviour::Ssh);
    let server_target = target(&server);
    let (host, port) = server_target.rsplit_once(':').expect("it has a port");
    for (given, reason, meant) in [
        ("portmuster HOST", "is missing", "portmuster check HOST"),
        ("portmuster -p PORT HOST", "is missing", "portmuster check -p PORT HOST"),
        ("portmuster scan HOST", "there is no command", "portmuster check HOST"),
        ("portmuster list.txt", "is missing", "portmuster check -i list.txt"),
        ("portmuster check http://HOST:PORT/", "URLs are supported", "portmuster check HOST:PORT"),
        ("portmuster check user@HOST:PORT", "has no user name", "portmuster check HOST:PORT"),
        ("portmuster check HOST:PORT,HOST:1", "several", "portmuster check HOST:PORT HOST:1"),
        ("portmuster check HOST PORT", "is a port", "portmuster check HOST:PORT"),
        ("portmuster check HOST ssh", "is a port", "portmuster check HOST:ssh"),
        ("portmuster check HOST -p PORT 23", "commas", "portmuster check HOST -p PORT,23"),
        ("portmuster check HOST -p PORT -p 23", "twice", "portmuster check HOST -p PORT,23"),
        ("portmuster check HOST -p-", "all ports are", "portmuster check HOST -p1-65535"),
        ("portmuster check HOST -p T:PORT", "TCP", "portmuster check HOST -p PORT"),
        ("portmuster check HOST -o a.json", "no format", "portmuster check HOST -o jsonl=a.json"),
        ("portmuster check HOST -o csv a.csv", "FORMAT=FILE", "portmuster check HOST -o csv=a.csv"),
        ("portmuster check HOST -oX a.xml", "nmap", "portmuster check HOST -o xml=a.xml"),
        ("portmuster check HOST -sT", "complete TCP connections", "portmuster check HOST"),
        ("portmuster check HOST -Pn", "without a ping", "portmuster check HOST"),
        ("portmuster check -iL list.txt", "nmap", "portmuster check -i list.txt"),
        ("portmuster check list.txt", "is a file", "portmuster check -i list.txt"),
        ("portmuster check -i HOST", "no file", "portmuster check HOST"),
        ("portmuster check HOST --rate 10,000", "number", "portmuster check HOST --rate 10000"),
        (
            "portmuster explain HOST:PORT --rate 5",
            "--rate is an option of check, not of explain",
            "portmuster check HOST:PORT --rate 5",
        ),
        ("portmuster list HOST", "prints values", "portmuster check --list HOST"),
        ("portmuster explain HOST PORT", "is a port", "portmuster explain HOST:PORT"),
    ] {
        let filled = |text: &str| text.replace("HOST", host).replace("PORT", port);
        let ended = run_in_folder(&filled(given));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{given}: {ended:?}");
        let (error, command) = ended.stderr.split_once("\n  did you mean: ").expect(given);
        assert!(error.starts_with("error: ") && error.contains(reason), "{given}: {error}");
        assert_eq!(command, format!("{}\n", filled(meant)), "{given}");
    }
    assert_untouched(&server);
}

#[test]
fn command_without_what_is_not_supported_is_suggested_as_such() {
    let ended = run_in_folder("portmuster check 127.0.0.1:1 -sU -O");
    let expected = "error: -sU is not supported: portmuster checks TCP only; for UDP, use nmap -sU; -O is \
                    not supported: portmuster identifies ssh and telnet, but no operating systems; use \
                    nmap -O\n  without it: portmuster check 127.0.0.1:1\n";
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(2), expected), "{ended:?}");
}

#[test]
fn words_with_several_meanings_are_errors_that_say_what_to_type() {
    let server = start(Behaviour::Ssh);
    let target = target(&server);
    for (words, message) in [
        ("::1:22", "for port 22 of ::1, write [::1]:22; for the address, [::1:22]"),
        ("no-such.txt -p 22", "there is no file \"no-such.txt\", and .txt is no top-level domain"),
        ("./no-such", "\"./no-such\" is no file that exists: name a list of targets with -i FILE"),
        ("demo", "\"demo\" is a command, not a target; for a host of this name, write its ports"),
        ("--exclude ::1:22", "is ambiguous"),
        ("--resume", "--resume needs the journal of the run: --journal FILE --resume"),
        ("-oX", "-oX is an option of nmap: use -o xml=FILE"),
    ] {
        let ended = run_in_folder(&format!("portmuster check {target} {words}"));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{words}: {ended:?}");
        assert!(ended.stderr.contains(message), "{words}: {}", ended.stderr);
        assert!(!ended.stderr.contains("did you mean"), "{words}: {}", ended.stderr);
    }
    assert_untouched(&server);
}

#[test]
fn suggestions_of_the_parser_are_not_printed() {
    for line in [
        "portmuster check 127.0.0.1 -x",
        "portmuster check 127.0.0.1 -Z 4",
        "portmuster check 127.0.0.1 --no-such-option",
        "portmuster check 127.0.0.1 --order none",
        "portmuster nope 127.0.0.1",
        "portmuster list none",
        "portmuster check 127.0.0.1 -p",
    ] {
        let ended = run_in_folder(line);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{line}: {ended:?}");
        assert!(!ended.stderr.contains("tip:"), "{line}: {}", ended.stderr);
    }
}

#[test]
fn help_before_a_command_is_that_of_the_command() {
    let expected = run_in_folder("portmuster check --help").stdout;
    for line in ["portmuster --help check", "portmuster help check"] {
        let ended = run_in_folder(line);
        assert_eq!((ended.status, ended.stdout == expected), (Some(0), true), "{line}: {ended:?}");
    }
}

/// The page about options of nmap and masscan.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/from-nmap.md");

/// Returns the cells of the rows of a page's tables that have two columns, without their backticks.
fn rows_of_page() -> Vec<(Vec<String>, String)> {
    let page = fs::read_to_string(PAGE).expect("the page exists");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split_once("` | ").expect("it has two columns"));
    let cells = |text: &str| text.split("`, `").map(str::to_owned).collect();
    rows.map(|(given, meant)| (cells(given), meant.replace('`', ""))).collect()
}

#[test]
fn page_shows_what_the_messages_suggest() {
    let rows = rows_of_page();
    assert!(rows.len() > 25, "{rows:?}");
    let folder = Folder::new();
    folder.write("inventory.txt", "127.0.0.1:1\n");
    for (all_given, meant) in rows {
        for given in all_given {
            let is_unsupported = meant.starts_with("not supported");
            let whole = |text: &str| match text {
                _ if text.starts_with("portmuster ") => text.to_owned(),
                _ if text.starts_with("not ") => "portmuster check 10.0.0.1".to_owned(),
                _ => format!("portmuster check 10.0.0.1 {text}"),
            };
            let words = whole(&given);
            let mut program = command(PATH);
            let ended = run(program.current_dir(folder.path()).args(words.split(' ').skip(1)));
            assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{given}: {ended:?}");
            let what = if is_unsupported { "without it" } else { "did you mean" };
            let (_, command) = ended.stderr.split_once(&format!("\n  {what}: ")).expect(&given);
            assert_eq!(command, format!("{}\n", whole(&meant)), "{given}");
        }
    }
}

#[test]
fn page_shows_the_whole_message() {
    let page = fs::read_to_string(PAGE).expect("the page exists");
    let ended = run_in_folder("portmuster check 10.0.0.0/24 -p- -oX result.xml");
    assert!(page.contains(&format!("```text\n{}```\n", ended.stderr)), "{ended:?}");
}

#[test]
fn notations_of_other_scanners_are_accepted_where_they_are_unambiguous() {
    for (line, count) in [
        ("portmuster check 10.0.0.* --count", 512),
        ("portmuster check 10.0.0.1-50 --count", 100),
        ("portmuster check 10.0.0.0-10.0.0.255 --count", 512),
        ("portmuster check 10.0.0.1,3,5 --count", 6),
        ("portmuster check ssh://10.0.0.1 telnet://10.0.0.1:23 --count", 2),
        ("portmuster check 10.0.0.1 --rate 10k --per-host 1k --count", 2),
        ("portmuster check 10.0.0.1 -p 1-65535 --count", 65_535),
    ] {
        let ended = run_in_folder(line);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{line}");
        assert_eq!(ended.stdout, format!("{count}\n"), "{line}");
    }
}

#[test]
fn suggested_command_is_escaped() {
    let ended = run_in_folder("portmuster 10.0.0.1 --source \u{1b}[2J\u{202e}");
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let is_visible = |letter: char| letter == '\n' || (' '..='~').contains(&letter);
    assert!(ended.stderr.chars().all(is_visible), "{ended:?}");
}
