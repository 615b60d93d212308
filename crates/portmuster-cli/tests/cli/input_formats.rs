//! Input formats: each file is read as what it is, or is refused with a hint what to type.
//!
//! Connections go to loopback only.

use portmuster_lab::Behaviour;

use crate::{
    folder::ListFile,
    program::{Ended, Running, check, program, run},
    servers::{start, target},
};

/// Lists the targets of a file in given order. The path is replaced by `LIST` in stderr.
fn listed(content: &str, arguments: &[&str]) -> Ended {
    let list = ListFile::new(content);
    let ended = check([&["-i", &list.path, "--list", "--order=given"], arguments].concat());
    Ended { stderr: ended.stderr.replace(&list.path, "LIST"), ..ended }
}

/// Lists the targets of the same content on stdin, which is read as a stream.
fn streamed(content: &str, arguments: &[&str]) -> Ended {
    let arguments = [&["check", "-i", "-", "--list", "--order=given"], arguments].concat();
    run(program().args(arguments).write_stdin(content))
}

#[track_caller]
fn assert_listed(content: &str, arguments: &[&str], expected: &[&str]) {
    for ended in [listed(content, arguments), streamed(content, arguments)] {
        assert_eq!(ended.status, Some(0), "{content}: {ended:?}");
        assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), expected, "{content}: {ended:?}");
    }
}

/// Asserts that the content is refused both as a file, without any target listed, and on stdin.
#[track_caller]
fn assert_refused(content: &str, arguments: &[&str], complaint: &str) {
    let ended = listed(content, arguments);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{content}: {ended:?}");
    let stderr = &ended.stderr;
    assert!(stderr.contains(&format!("error: LIST, {complaint}")), "{content}: {stderr}");
    let ended = streamed(content, arguments);
    assert_eq!(ended.status, Some(2), "{content}: {ended:?}");
    let stderr = &ended.stderr;
    assert!(stderr.contains(&format!("error: standard input, {complaint}")), "{content}: {stderr}");
}

const NMAP: &str = "<?xml version=\"1.0\"?>\n<nmaprun>\n<host><status state=\"up\"/>\
    <address addr=\"127.0.9.1\" addrtype=\"ipv4\"/>\
    <hostnames><hostname name=\"one.example\" type=\"user\"/></hostnames>\
    <ports><port protocol=\"tcp\" portid=\"2222\"><state state=\"open\"/></port></ports></host>\n\
    <host><status state=\"up\"/><address addr=\"127.0.9.2\" addrtype=\"ipv4\"/></host>\n</nmaprun>\n";

#[test]
fn text_after_white_space_is_never_dropped() {
    for (content, complaint) in [
        (
            "127.0.9.1\t21015\n",
            "line 1, column 11: \"21015\" looks like a port: did you mean 127.0.9.1:21015?",
        ),
        (
            "127.0.9.1 22\n",
            "line 1, column 11: \"22\" looks like a port: did you mean 127.0.9.1:22?",
        ),
        (
            "127.0.9.1 - 127.0.9.5\n",
            "line 1, column 11: \"-\" looks like the sign of a range: did you mean 127.0.9.1-127.0.9.5?",
        ),
        (
            "127.0.9.1 to 127.0.9.5\n",
            "line 1, column 11: \"to\" looks like the sign of a range: did you mean 127.0.9.1-127.0.9.5?",
        ),
        ("a - b\n", "line 1, column 3: \"-\" looks like the sign of a range"),
        (
            "a:22 b:23\n",
            "line 1, column 6: \"b:23\" looks like another target: write one target per line, or use --input-format list to read several. If it is a label, use --labels",
        ),
        ("a -p 22\n", "line 1, column 3: \"-p\" looks like an option"),
        ("- 127.0.9.1\n- 127.0.9.2\n", "line 1, column 1: the dash marks a list item of YAML"),
        (
            "Nmap scan report for 127.0.9.1\nHost is up (0.00s latency).\n",
            "line 1, column 6: this is nmap's normal output; use that of nmap -oX with --input-format nmap-xml",
        ),
        (
            "127.0.9.1,22\n",
            "line 1, column 1: 127.0.9.1,22 is ambiguous: for the addresses, write 127.0.9.1 and 127.0.9.22; for a port, 127.0.9.1:22; for CSV, use --input-format csv",
        ),
        (
            "127.0.9.1:1\n[servers]\n127.0.9.2\n",
            "line 2, column 2: \"servers\" is not an IPv6 address, and only an IPv6 address may be in brackets; for an Ansible inventory, use --input-format ansible",
        ),
        (
            "http://127.0.9.1/\n",
            "line 1, column 1: only ssh:// and telnet:// URLs are supported, not http://; for the host alone, write 127.0.9.1",
        ),
        ("a.example;22\n", "line 1, column 10: ';' is not allowed here"),
        (
            "-p\n",
            "line 1, column 1: \"-p\" is not a host name: no part of a name begins or ends with '-'",
        ),
    ] {
        let before = content.starts_with("127.0.9.1:1");
        if before {
            let ended = listed(content, &[]);
            assert!(ended.stderr.contains(&format!("error: LIST, {complaint}")), "{ended:?}");
            continue;
        }
        assert_refused(content, &[], complaint);
    }
}

#[test]
fn unambiguous_labels_are_kept() {
    assert_listed(
        "127.0.9.1:22 core sw 1\n127.0.9.2:22 web\n",
        &[],
        &["127.0.9.1:22 core sw 1", "127.0.9.2:22 web"],
    );
    assert_listed(
        "127.0.9.1:22 2222\na:1 b:23\n",
        &["--labels"],
        &["127.0.9.1:22 2222", "a:1 b:23"],
    );
}

#[test]
fn line_ends_and_octet_lists_are_read() {
    assert_listed(
        "127.0.9.1:21015\r127.0.9.1:21018\r",
        &[],
        &["127.0.9.1:21015", "127.0.9.1:21018"],
    );
    assert_listed("127.0.9.1:1\r\n127.0.9.2:2\r\n", &[], &["127.0.9.1:1", "127.0.9.2:2"]);
    let octets = "127.0.9.10-11\n127.0.9.20-21:22,2222\n127.0.9,10.1\n127.0.9.2,3,5\n";
    assert_listed(
        octets,
        &["-p7"],
        &[
            "127.0.9.10:7",
            "127.0.9.11:7",
            "127.0.9.20:22",
            "127.0.9.20:2222",
            "127.0.9.21:22",
            "127.0.9.21:2222",
            "127.0.9.1:7",
            "127.0.10.1:7",
            "127.0.9.2:7",
            "127.0.9.3:7",
            "127.0.9.5:7",
        ],
    );
}

#[test]
fn octet_wildcard_is_a_network() {
    let counted = check(["127.0.9.*", "-p1", "--count"]);
    assert_eq!((counted.status, counted.stdout.as_str()), (Some(0), "256\n"), "{counted:?}");
}

#[test]
fn ssh_and_telnet_urls_are_targets() {
    assert_listed(
        "ssh://127.0.9.1:2222/\ntelnet://root@127.0.9.2\n",
        &[],
        &["127.0.9.1:2222", "127.0.9.2:23"],
    );
    let ended = check(["ssh://127.0.9.1", "telnet://[::1]:2323/", "--list", "--order=given"]);
    assert_eq!(ended.stdout, "127.0.9.1:22\n[::1]:2323\n", "{ended:?}");
    let ended = check(["https://127.0.9.1:8443/x", "--list"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("only ssh:// and telnet:// URLs are supported"), "{ended:?}");
    assert!(ended.stderr.contains("portmuster check 127.0.9.1:8443 --list"), "{ended:?}");
    let complaint = "line 1, column 1: only ssh:// and telnet:// URLs are supported, not https://; for \
                     the host alone, write 127.0.9.1:8443";
    assert_refused("https://127.0.9.1:8443/x\n", &[], complaint);
}

#[test]
fn international_names_become_ascii() {
    assert_listed("b\u{fc}cher.example:22\n", &[], &["xn--bcher-kva.example:22"]);
}

#[test]
fn format_list_reads_several_targets_per_line() {
    assert_listed(
        "a:22 b:23\n127.0.9.1:1\tc:1 # d\n",
        &["--input-format=list"],
        &["a:22", "b:23", "127.0.9.1:1", "c:1"],
    );
    assert_listed("a:22 b:23\n", &["--input-format=list", "--labels"], &["a:22 b:23"]);
    assert_refused("127.0.9.1 22\n", &["--input-format=list"], "line 1, column 11: \"22\" is not");
}

#[test]
fn csv_is_read_by_header_or_column_option() {
    let note = "portmuster: reading LIST as csv; if that is wrong, use --input-format\n";
    assert_eq!(listed("ip,port\n127.0.9.1,22\n", &[]).stderr, note);
    assert_eq!(listed("ip,port\n127.0.9.1,22\n", &["--quiet"]).stderr, "");
    assert_eq!(listed("ip,port\n127.0.9.1,22\n", &["--input-format=csv"]).stderr, "");
    assert_listed("ip,port\n127.0.9.1,22\n", &[], &["127.0.9.1:22"]);
    assert_listed("127.0.9.1,22\n", &["--input-format=csv"], &["127.0.9.1:22"]);
    let table = "id;what;where;which\r\n1;core;127.0.9.1;\"22,23\"\r\n";
    let expected = ["127.0.9.1:22 core", "127.0.9.1:23 core"];
    assert_listed(table, &["--column=where,which,what"], &expected);
    assert_listed(&table["id;what;where;which\r\n".len()..], &["--column=3,4,2"], &expected);
    let refused = check(["-i-", "--column=ip", "--input-format=ansible"]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("--column applies to csv, not to ansible"), "{refused:?}");
    assert_refused(
        table,
        &["--column=ip"],
        "line 1, column 1: this can't be read as csv: no column is called \"ip\"",
    );
    assert_refused("ip,port\n127.0.9.1,x\n", &[], "line 2, column 11: \"x\" is neither a port");
}

#[test]
fn scan_reports_give_open_ports_or_hosts_with_ports_option() {
    assert_listed(NMAP, &[], &["127.0.9.1:2222 one.example"]);
    let ended = listed(NMAP, &[]);
    assert!(ended.stderr.contains("skipped in LIST: 1 host that is up and has no open TCP port"));
    for ports in [&["-p22"][..], &["--ports", "22"]] {
        assert_listed(NMAP, ports, &["127.0.9.1:22 one.example", "127.0.9.2:22"]);
    }
    let both =
        ["127.0.9.1:22 one.example", "127.0.9.1:23 one.example", "127.0.9.2:22", "127.0.9.2:23"];
    assert_listed(NMAP, &["-p", "ssh,telnet"], &both);
    let grep = "# Nmap 7.93 scan initiated\nHost: 127.0.9.1 (a)\tStatus: Up\nHost: 127.0.9.1 (a)\t\
                Ports: 22/open/tcp//ssh///, 23/closed/tcp////\n";
    assert_listed(grep, &[], &["127.0.9.1:22 a"]);
    assert_listed(grep, &["-p7"], &["127.0.9.1:7 a"]);
    assert_listed("open tcp 22 127.0.9.1 1700000000\n", &[], &["127.0.9.1:22"]);
    let json = "[\n{   \"ip\": \"127.0.9.1\",   \"ports\": [ {\"port\": 22, \"proto\": \"tcp\", \
                \"status\": \"open\"} ] }\n]\n";
    assert_listed(json, &[], &["127.0.9.1:22"]);
    let cut = &NMAP[..NMAP.len() - "</nmaprun>\n".len()];
    let ended = listed(cut, &[]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("it ends before </nmaprun>"), "{ended:?}");
}

#[test]
fn own_output_is_readable_as_input() {
    let server = start(Behaviour::Ssh);
    for format in ["xml", "csv"] {
        let written = check([&target(&server), "-o", format, "--quiet"]);
        assert_eq!(written.status, Some(0), "{written:?}");
        assert_listed(&written.stdout, &[], &[&target(&server)]);
    }
}

#[test]
fn known_hosts_reports_hashed_names() {
    let hosts = "one.example,127.0.9.1 ssh-ed25519 AAAAC3Nz\n[two.example]:2222 ssh-rsa AAAAB3Nz\n\
                 |1|F1E1KeoE=|3988QV0= ssh-rsa AAAAB3Nz\n*.example ssh-rsa AAAAB3Nz\n";
    assert_listed(hosts, &["-p22"], &["one.example:22", "127.0.9.1:22", "two.example:2222"]);
    let ended = listed(hosts, &[]);
    let note = "skipped in LIST: 1 hashed name, which can't be read; 1 pattern (*, ?, !)";
    assert!(ended.stderr.contains(note), "{ended:?}");
    let ended = listed("|1|F1E1KeoE=|3988QV0= ssh-rsa AAAAB3Nz\n", &[]);
    let error = "error: there is no target in LIST, only 1 hashed name, which can't be read\n";
    assert!(ended.stderr.ends_with(error), "{ended:?}");
}

#[test]
fn ansible_inventories_give_hosts_ports_and_names() {
    let ini = "inst1 ansible_host=127.0.9.1 ansible_port=2222\n\
               inst2 ansible_host=127.0.9.1 ansible_port=2223\n";
    assert_listed(ini, &[], &["127.0.9.1:2222 inst1", "127.0.9.1:2223 inst2"]);
    let groups = "[web]\nweb[01:02].example\n[web:vars]\nansible_port=2222\n[all:children]\nweb\n";
    assert_listed(groups, &[], &["web01.example:2222", "web02.example:2222"]);
    let json = "{\n    \"_meta\": {\"hostvars\": {\"a\": {\"ansible_host\": \"127.0.9.1\"}}},\n    \
                \"web\": {\"hosts\": [\"a\", \"b\"]}\n}\n";
    assert_listed(json, &["-p22"], &["127.0.9.1:22 a", "b:22"]);
    assert_refused(
        "[a:b]\n",
        &[],
        "line 1, column 1: this can't be read as ansible: [a:b] is not a section",
    );
}

#[test]
fn bad_line_of_an_inventory_is_skipped_with_the_hosts_that_it_may_move() {
    let list = "[web]\na\nb ansible_host=10.0.0.1 x\nc\n[db]\nb\nd ansible_port=2\n";
    let ended = listed(list, &["--skip-bad-lines", "-p1"]);
    assert_eq!((ended.status, &*ended.stdout), (Some(0), "a:1\nc:1\nd:2\n"), "{ended:?}");
    for message in [
        "skipped LIST, line 3, column 25: this can't be read as ansible: only variables, KEY=VALUE, may",
        "skipped LIST, line 6, column 1: this can't be read as ansible: the address and port of \"b\" are \
         not certain, because another line about it or its groups can't be read",
    ] {
        assert!(ended.stderr.contains(message), "{message}: {ended:?}");
    }
}

#[test]
fn empty_list_is_an_error_in_every_format() {
    for format in ["list", "csv", "nmap-grep", "masscan", "known-hosts", "ansible"] {
        for ended in [
            listed(
                if format == "csv" { "ip,port\n" } else { "# none\n" },
                &["--input-format", format],
            ),
            listed("", &["--input-format", format]),
        ] {
            assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{format}: {ended:?}");
            assert!(ended.stderr.contains("there is no target in LIST"), "{format}: {ended:?}");
        }
    }
    let ended = listed("<nmaprun></nmaprun>", &[]);
    assert!(ended.stderr.contains("there is no target in LIST"), "{ended:?}");
}

#[test]
fn stream_is_checked_before_it_ends() {
    let server = start(Behaviour::Ssh);
    let (host, port) = (server.endpoint().ip().to_string(), server.endpoint().port());
    for first in [
        format!("ip,port\n{host},{port}\n"),
        format!("open tcp {port} {host} 17\n"),
        format!("Host: {host} ()\tPorts: {port}/open/tcp////\n"),
        format!("{host}:{port}\r"),
        format!(
            "<nmaprun>\n<host><address addr=\"{host}\"/><port portid=\"{port}\">\
                 <state state=\"open\"/></port></host>"
        ),
    ] {
        let mut running = Running::check(["-i", "-", "-ojsonl"]);
        running.feed(&first);
        // The row arrives although stdin is still open.
        assert_eq!(running.row().service.as_deref(), Some("ssh"), "{first}");
    }
}

#[test]
fn exclude_file_text_after_white_space_is_never_dropped() {
    let excluded = |content: &str, arguments: &[&str]| {
        let list = ListFile::new(content);
        let fixed = ["127.0.9.0/29", "-p1", "--list", "--order=given", "--exclude-file"];
        let ended = check([&fixed[..], &[&list.path], arguments].concat());
        Ended { stderr: ended.stderr.replace(&list.path, "LIST"), ..ended }
    };
    let ended = excluded("127.0.9.1 127.0.9.2\n", &[]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    let complaint = "error: LIST, line 1, column 11: \"127.0.9.2\" looks like another target";
    assert!(ended.stderr.starts_with(complaint), "{ended:?}");
    let left = excluded("127.0.9.0-5 printers\r127.0.9.6,7,7\r", &[]);
    assert_eq!(left.status, Some(2), "{left:?}");
    assert!(left.stderr.contains("all named targets are excluded"), "{left:?}");
    let left = excluded("127.0.9.0-5 127.0.9.6\n", &["--input-format=list"]);
    assert_eq!(left.stdout, "127.0.9.7:1\n", "{left:?}");
    let left = excluded("127.0.9.0-5 127.0.9.6\n", &["--labels"]);
    assert_eq!(left.stdout, "127.0.9.6:1\n127.0.9.7:1\n", "{left:?}");
}

#[test]
fn compare_reads_other_input_formats() {
    let list = ListFile::new("127.0.9.1,1,x\n127.0.9.2,2,y\n");
    let arguments = ["compare", "-i", &list.path, "--input-format=csv", "--rounds=1", "-ojsonl"];
    let ended =
        run(program().args(arguments).args(["--methods=serial,event-loop", "--column=1,2"]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 2);
    assert!(ended.stdout.contains("\"targets\":2"), "{ended:?}");
}
