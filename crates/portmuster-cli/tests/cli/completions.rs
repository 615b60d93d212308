//! Shell completions, loaded by real shells, and manual pages, rendered by groff.

use std::fs;

use crate::{
    folder::Folder,
    program::{Ended, command, program, run},
};

/// Returns the commands that the help lists, including `help`.
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

/// Runs a script in a shell without user configuration. `$completions` is the file of the program's
/// completions for that shell.
fn in_shell(arguments: &[&str], script: &str) -> Ended {
    let folder = Folder::new();
    let path = folder.write("completions", completions(arguments[0]));
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
fn bash_completes_commands_and_options() {
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
    assert_eq!(words(&bash("portmuster check --me")), ["--method", "--metrics"]);
    assert_eq!(words(&bash("portmuster check --method p")).len(), 3);
    let telnet = ["telnet-likely", "telnet-new-environ"];
    assert_eq!(words(&bash("portmuster check --forbid telnet-")), telnet);
    assert_eq!(words(&bash("portmuster completions ''")).last(), Some(&"zsh"));
}

/// Returns what bash offers for the last of these words, with the function that it calls.
fn bash_words(words: &str) -> Vec<String> {
    let script = format!(
        r#". "$completions"
        case $(complete -p portmuster) in *' _portmuster_words '*) ;; *) exit 1 ;; esac
        COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _portmuster_words portmuster "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
        echo "${{COMPREPLY[@]}}""#
    );
    let offered = in_shell(&["bash", "--norc", "--noprofile"], &script).stdout;
    let mut offered: Vec<_> = offered.split_whitespace().map(str::to_owned).collect();
    offered.sort();
    offered
}

#[test]
fn bash_completes_formats_and_lists() {
    for (words, expected) in [
        ("portmuster check -o js", &["jsonl", "jsonl="][..]),
        ("portmuster check --output sq", &["sqlite="]),
        ("portmuster check --output '=' sq", &["sqlite="]),
        ("portmuster check -o jsonl '=' x", &[]),
        (
            "portmuster check --show te",
            &["telnet", "telnet-likely", "telnet-new-environ", "terrapin"],
        ),
        ("portmuster check --forbid telnet-l", &["telnet-likely"]),
        ("portmuster check --forbid telnet,ssh-t", &["telnet,ssh-throttled"]),
        ("portmuster check --forbid '=' telnet,weak-m", &["telnet,weak-mac"]),
        ("portmuster check --allow filtered,exc", &["filtered,excluded"]),
        ("portmuster compare --methods threads,ser", &["threads,serial"]),
        ("portmuster check --profile g", &["gentle"]),
        ("portmuster check --show filtered,uncheck", &["filtered,unchecked"]),
        ("portmuster check --sort ''", &["findings", "host", "service"]),
    ] {
        assert_eq!(bash_words(words), expected, "{words}");
    }
    assert_eq!(
        bash_words("portmuster check --forbid a,b,''").len(),
        bash_words("portmuster check --forbid ''").len()
    );
}

#[test]
fn fish_completes_formats_and_lists() {
    for (line, expected) in [
        ("portmuster check -o js", &["jsonl", "jsonl="][..]),
        ("portmuster check --output sq", &["sqlite="]),
        ("portmuster check --forbid telnet,ssh-t", &["telnet,ssh-throttled"]),
        ("portmuster check --forbid=telnet,weak-m", &["--forbid=telnet,weak-mac"]),
        ("portmuster check --allow filtered,exc", &["filtered,excluded"]),
    ] {
        let script = format!("source $completions; complete -C '{line}'");
        let offered = in_shell(&["fish", "--no-config"], &script).stdout;
        assert_eq!(words(&offered), expected, "{line}");
    }
}

#[test]
fn fish_completes_commands_and_options() {
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
    assert_eq!(first(&fish("portmuster check --me")), ["--method", "--metrics"]);
}

#[test]
fn zsh_loads_completions() {
    let script = "autoload -Uz compinit && compinit -D -u && . $completions &&
        print -r -- $_comps[portmuster] && whence -w _portmuster";
    let ended = in_shell(&["zsh", "-f"], script);
    assert_eq!(ended.stdout, "_portmuster\n_portmuster: function\n");
    let script = completions("zsh");
    for part in [
        ":FORMAT[=FILE]:_portmuster_outputs' \\\n",
        ":THINGS:_values -s , forbid open ssh ",
        "compadd -S '' -- table list jsonl ",
    ] {
        assert!(script.contains(part), "{part}");
    }
}

#[test]
fn hidden_options_are_in_no_completions_or_manual_page() {
    let folder = Folder::new();
    for text in ["bash", "zsh", "fish"].map(completions).into_iter().chain(pages(&folder)) {
        for hidden in ["--measure", "\\-\\-measure", "-l measure", "inside of a worker"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
}

/// Writes all manual pages to a folder that does not exist yet, and returns their text.
fn pages(folder: &Folder) -> Vec<String> {
    let man = folder.file("share/man1");
    let ended = run(program().args(["man", "--dir"]).arg(&man));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let page = |name: &str| fs::read_to_string(man.join(name)).expect("the page is there");
    let of_commands = commands().into_iter().filter(|command| command != "help");
    let pages = of_commands.map(|command| page(&format!("portmuster-{command}.1")));
    let pages: Vec<_> = std::iter::once(page("portmuster.1")).chain(pages).collect();
    assert_eq!(fs::read_dir(&man).expect("it exists").count(), pages.len());
    pages
}

/// Asserts that each option has a description, which is the line after its name.
fn assert_no_empty_option(page: &str) {
    let lines: Vec<_> = page.lines().collect();
    for (index, _) in lines.iter().enumerate().filter(|(_, line)| **line == ".TP") {
        let (name, text) = (lines[index + 1], lines.get(index + 2).copied().unwrap_or_default());
        assert!(!text.is_empty() && !text.starts_with(".TP"), "{name} has no description");
    }
}

#[test]
fn manual_pages_render_without_warnings_and_match_help() {
    let folder = Folder::new();
    for page in pages(&folder) {
        let rendered =
            run(command("groff").args(["-man", "-Tutf8", "-ww"]).write_stdin(page.clone()));
        assert_eq!((rendered.status, rendered.stderr.as_str()), (Some(0), ""), "{page}");
        assert!(page.contains(".SH NAME\n") && page.is_ascii(), "{page}");
        assert!(!page.contains('`'), "{page}");
        assert_no_empty_option(&page);
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
fn invalid_man_and_completions_arguments_are_errors() {
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
