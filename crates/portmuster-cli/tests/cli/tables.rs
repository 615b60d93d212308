//! Tables that are sorted, grouped, or fit a terminal, and the rows that `--show` selects.

use portmuster_lab::Behaviour;

use crate::{
    folder::ListFile,
    program::{check, program, run},
    servers::{own_address, start, target},
    terminal::shown_in,
};

/// Returns the first word of each row below the header.
fn first_words(table: &str) -> Vec<&str> {
    table.lines().skip(1).filter_map(|row| row.split(' ').next()).collect()
}

#[test]
fn sorted_table_is_in_order_and_complete() {
    let (ssh, telnet) = (start(Behaviour::Ssh), start(Behaviour::Telnet));
    let (ssh, telnet) = (target(&ssh), target(&telnet));
    let refused = format!("{}:1", own_address());
    let sorted = |order| {
        let ended = check(["--no-kex", "--show=all", "--sort", order, &ssh, &refused, &telnet]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        first_words(&ended.stdout).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sorted("service"), [telnet.clone(), ssh.clone(), refused.clone()]);
    let by_host = sorted("host");
    assert_eq!((by_host.len(), &by_host[0]), (3, &refused), "port 1 is the lowest");
}

#[test]
fn grouped_table_has_a_row_for_each_host() {
    let (ssh, telnet) = (start(Behaviour::Ssh), start(Behaviour::Telnet));
    let (first, second) = (ssh.endpoint().port(), telnet.endpoint().port());
    let (ssh, telnet) = (target(&ssh), target(&telnet));
    let ended = check(["--no-kex", "--group", "--show=all", &ssh, &telnet, "127.0.0.1:1"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let own = own_address().to_string();
    assert_eq!(first_words(&ended.stdout), ["127.0.0.1", &own]);
    let row = ended.stdout.lines().nth(2).expect("there are two hosts");
    for port in [format!("{first} ssh OpenSSH_9.2p1"), format!("{second} telnet")] {
        assert!(row.contains(&port), "{row}");
    }
}

#[test]
fn show_selects_rows_for_every_output() {
    let (ssh, telnet) = (start(Behaviour::Ssh), start(Behaviour::Telnet));
    let (ssh, telnet) = (target(&ssh), target(&telnet));
    let shown = |show: &str| {
        let ended = check(["--no-kex", "-o", "list", "--show", show, &ssh, &telnet, "127.0.0.1:1"]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let mut rows: Vec<_> = ended.stdout.lines().map(str::to_owned).collect();
        rows.sort_by_key(|row| [&ssh, &telnet].iter().position(|it| *it == row));
        rows
    };
    let refused = "127.0.0.1:1".to_owned();
    assert_eq!(shown("telnet"), std::slice::from_ref(&telnet));
    assert_eq!(shown("telnet,closed"), [refused.clone(), telnet.clone()]);
    assert_eq!(shown("all"), [refused, ssh.clone(), telnet.clone()]);
    assert_eq!(shown("open"), [ssh.clone(), telnet.clone()]);
    assert!(shown("weak,filtered").is_empty());
    let ended = check(["--show=telnett", "127.0.0.1:1"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("telnet"), "{ended:?}");
}

#[test]
fn sorting_and_grouping_need_a_table_on_stdout() {
    for option in ["--sort=host", "--group"] {
        let ended = check([option, "-ojsonl", "127.0.0.1:1"]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains("is about the table on stdout: add -o table"), "{ended:?}");
    }
    let ended = check(["--sort=host", "--group", "127.0.0.1:1"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
}

#[test]
fn labels_of_lists_and_streams_have_a_column() {
    let list = ListFile::new("127.0.0.1:1 rack 4\n127.0.0.1:2\n");
    let stream = "127.0.0.1:1 rack 4\n";
    let arguments = ["check", "--show=all", "-i"];
    let from_file = run(program().args(arguments).arg(&list.path));
    let from_stream = run(program().args(arguments).arg("-").write_stdin(stream));
    for ended in [from_file, from_stream] {
        assert!(ended.stdout.contains("LABEL") && ended.stdout.contains(" rack 4 "), "{ended:?}");
    }
    let ended = check(["127.0.0.1:1", "--show=all"]);
    assert!(!ended.stdout.contains("LABEL"), "{ended:?}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let (ssh, telnet) = (start(Behaviour::Ssh), start(Behaviour::Telnet));
    let targets = [target(&ssh), target(&telnet), "127.0.0.1:1".to_owned()];
    let targets = || targets.iter().map(String::as_str);
    let gates = ["--forbid=telnet,weak", "--require-verdict", "--show=all", "--progress=never"];
    for columns in [60, 80, 100, 160, 200] {
        let commands = [
            ["check"].into_iter().chain(gates).chain(targets()).collect::<Vec<_>>(),
            ["check", "--group"].into_iter().chain(gates).chain(targets()).collect(),
            ["explain"].into_iter().chain(targets().take(1)).collect(),
            ["compare", "--methods=threads,event-loop", "--rounds=1"]
                .into_iter()
                .chain(targets())
                .collect(),
        ];
        for command in commands {
            let shown = shown_in(columns, command.iter().copied(), &[("TERM", "dumb")]);
            // What was erased is no line.
            let lines = shown.lines().filter(|line| !line.contains('\x1b'));
            for line in lines {
                let width = line.chars().count();
                assert!(width <= usize::from(columns), "{columns}: {command:?}: {line}");
            }
        }
    }
}
