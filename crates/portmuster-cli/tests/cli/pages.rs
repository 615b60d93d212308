//! Completions, as real shells take them, and manual pages, as groff sets them.

use std::fs;

use tempfile::TempDir;

use crate::program::{Ended, command, program, run};

/// The commands that help lists, and `help` itself.
fn commands() -> Vec<String> {
    let help = run(program().arg("-h")).stdout;
    let (_, listed) = help.split_once("Commands:\n").expect("there are commands");
    let listed = listed.lines().take_while(|line| line.starts_with("  "));
    let names = listed.filter_map(|line| line.split_whitespace().next());
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names
}

fn completions(shell: &str) -> String {
    let ended = run(program().args(["completions", shell]));
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout
}

/// Runs a script in a shell that reads nothing of its user, and in which the program's completions
/// are the file `$1`.
fn in_shell(arguments: &[&str], script: &str) -> Ended {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("completions");
    fs::write(&path, completions(arguments[0])).expect("there is room for a file");
    let home = folder.path();
    let ended = run(command(arguments[0])
        .env("HOME", home)
        .env("ZDOTDIR", home)
        .env("XDG_CONFIG_HOME", home)
        .env("completions", &path)
        .args(&arguments[1..])
        .args(["-c", script]));
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended
}

fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<_> = text.split_whitespace().collect();
    words.sort_unstable();
    words
}

#[test]
fn bash_completes_what_help_shows() {
    let bash = |line: &str| {
        let script = format!(
            r#". "$completions"
            COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _portmuster portmuster "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
            echo "${{COMPREPLY[@]}}""#
        );
        in_shell(&["bash", "--norc", "--noprofile"], &script).stdout
    };
    let offered = bash("portmuster ''");
    let offered: Vec<_> =
        words(&offered).into_iter().filter(|word| !word.starts_with('-')).collect();
    assert_eq!(offered, commands());
    assert_eq!(words(&bash("portmuster check --fo")), ["--forbid", "--force"]);
    assert_eq!(words(&bash("portmuster check --me")), ["--method"]);
    assert_eq!(words(&bash("portmuster check --method p")).len(), 3);
    assert_eq!(words(&bash("portmuster check --forbid telnet-")), ["telnet-likely"]);
    assert_eq!(words(&bash("portmuster completions ''")).last(), Some(&"zsh"));
}

#[test]
fn fish_completes_what_help_shows() {
    let fish = |line: &str| {
        let script = format!("source $completions; complete -C '{line}'");
        in_shell(&["fish", "--no-config"], &script).stdout
    };
    let first = |offered: &str| -> Vec<String> {
        let words = offered.lines().filter_map(|line| line.split_whitespace().next());
        let mut words: Vec<_> = words.map(str::to_owned).collect();
        words.sort();
        words
    };
    assert_eq!(first(&fish("portmuster ")), commands());
    assert_eq!(first(&fish("portmuster check --fo")), ["--forbid", "--force"]);
    assert_eq!(first(&fish("portmuster check --me")), ["--method"]);
}

#[test]
fn zsh_takes_the_completions() {
    let script = "autoload -Uz compinit && compinit -D -u && . $completions &&
        print -r -- $_comps[portmuster] && whence -w _portmuster";
    let ended = in_shell(&["zsh", "-f"], script);
    assert_eq!(ended.stdout, "_portmuster\n_portmuster: function\n");
}

#[test]
fn what_is_hidden_is_in_no_completions_and_on_no_page() {
    let folder = TempDir::new().expect("there is room for a folder");
    for text in ["bash", "zsh", "fish"].map(completions).into_iter().chain(pages(&folder)) {
        for hidden in ["--measure", "\\-\\-measure", "-l measure", "inside of a worker"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
}

/// All pages, by way of a folder that does not exist yet.
fn pages(folder: &TempDir) -> Vec<String> {
    let man = folder.path().join("share/man1");
    let ended = run(program().args(["man", "--dir"]).arg(&man));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let page = |name: &str| fs::read_to_string(man.join(name)).expect("the page is there");
    let of_commands = commands().into_iter().filter(|command| command != "help");
    let pages = of_commands.map(|command| page(&format!("portmuster-{command}.1")));
    let pages: Vec<_> = std::iter::once(page("portmuster.1")).chain(pages).collect();
    assert_eq!(fs::read_dir(&man).expect("it is there").count(), pages.len());
    pages
}

#[test]
fn pages_are_set_without_a_warning_and_say_what_help_says() {
    let folder = TempDir::new().expect("there is room for a folder");
    for page in pages(&folder) {
        let set = run(command("groff").args(["-man", "-Tutf8", "-ww"]).write_stdin(page.clone()));
        assert_eq!((set.status, set.stderr.as_str()), (Some(0), ""), "{page}");
        assert!(page.contains(".SH NAME\n") && page.is_ascii(), "{page}");
    }
    let page = run(program().args(["man", "check"])).stdout;
    assert!(page.contains(".TH portmuster-check 1"), "{page}");
    for part in
        [".SH EXAMPLES\n.nf\nportmuster check 10.0.0.0/24\n", ".SH \"EXIT STATUS\"\n.nf\n0 "]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(page.contains("\\-\\-require\\-verdict") && page.contains("portmuster\\-diff"));
}

#[test]
fn what_can_not_be_printed_is_an_error() {
    for (arguments, status, complaint) in [
        (&["man", "worker"][..], 2, r#"error: there is no command "worker""#),
        (&["man", "check", "--dir=x"], 2, "cannot be used with"),
        (&["man", "--dir=/proc/x/y"], 3, "error: creating /proc/x/y: "),
        (&["completions", "tcsh"], 2, "[possible values: bash, zsh, fish]"),
    ] {
        let ended = run(program().args(arguments));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(status), ""), "{ended:?}");
        assert!(ended.stderr.contains(complaint), "{ended:?}");
    }
}
