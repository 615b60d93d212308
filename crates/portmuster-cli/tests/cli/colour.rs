//! Colours appear on terminals or when forced, and never come from remote bytes.

use portmuster_lab::{Behaviour, Server};

use crate::{
    folder::Folder,
    program::{Ended, check, program, run},
    servers::{start, target},
    terminal,
};

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";

fn servers() -> [Server; 3] {
    [Behaviour::Telnet, Behaviour::EscapeGreeting, Behaviour::UnicodeGreeting].map(start)
}

fn check_with(environment: &[(&str, &str)], color: &str) -> Ended {
    let servers = servers();
    let mut command = program();
    command.arg("check").args(servers.each_ref().map(target)).args(["--color", color]);
    run(command.envs(environment.iter().copied()))
}

fn assert_plain(ended: &Ended) {
    assert!(ended.stdout.contains(" telnet ") && !ended.stdout.contains('\x1b'), "{ended:?}");
    assert!(!ended.stderr.contains('\x1b'), "{ended:?}");
}

/// Asserts that each row has exactly one style of the program's own and no other control character.
fn assert_painted(table: &str) {
    let rows: Vec<_> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), 3, "{table}");
    for row in rows {
        let colour = if row.contains(" telnet ") { RED } else { GREEN };
        let inside = row.strip_prefix(colour).and_then(|row| row.strip_suffix(RESET));
        let inside = inside.unwrap_or_else(|| panic!("{row:?} is not painted {colour:?}"));
        assert!(!inside.contains(char::is_control), "{row:?}");
        assert!(!inside.contains(['\u{202e}', '\u{200b}']), "{row:?}");
    }
}

#[test]
fn pipe_gets_no_colours() {
    assert_plain(&check_with(&[("TERM", "xterm-256color")], "auto"));
}

#[test]
fn color_always_forces_colours() {
    let ended = check_with(&[], "always");
    assert_painted(&ended.stdout);
    assert!(ended.stderr.contains("\x1b[1mportmuster:"), "{}", ended.stderr);
    assert_painted(&check_with(&[("NO_COLOR", "1")], "always").stdout);
    assert_painted(&check_with(&[("CLICOLOR_FORCE", "1")], "auto").stdout);
}

#[test]
fn color_never_and_no_color_disable_colours() {
    assert_plain(&check_with(&[("CLICOLOR_FORCE", "1")], "never"));
    assert_plain(&check_with(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], "auto"));
}

#[test]
fn output_file_gets_no_colours() {
    let folder = Folder::new();
    let file = folder.file("rows.txt");
    let output = format!("table={}", file.display());
    let ended = check(["127.0.0.1:1", "--show=all", "--color=always", "-o", &output]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let table = std::fs::read_to_string(file).expect("it is a file of text");
    assert!(table.contains("closed") && !table.contains('\x1b'), "{table:?}");
}

#[test]
fn terminal_gets_colours_unless_dumb_or_no_color() {
    let servers = servers();
    let targets = servers.each_ref().map(target);
    let shown = |environment: &[(&str, &str)]| {
        let arguments = ["check", "--quiet"].into_iter().chain(targets.iter().map(String::as_str));
        terminal::shown(arguments, environment)
    };
    assert_painted(&shown(&[("TERM", "xterm")]));
    for plain in [("TERM", "dumb"), ("NO_COLOR", "1")] {
        let table = shown(&[("TERM", "xterm"), plain]);
        assert!(table.contains(" telnet ") && !table.contains('\x1b'), "{plain:?}: {table:?}");
    }
}
