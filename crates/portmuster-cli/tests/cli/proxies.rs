//! Checks through SOCKS proxies: what their answers mean, where the login may not appear, and that nothing
//! goes around them.

use std::{fs, net::Ipv4Addr};

use portmuster_lab::{Behaviour, SocksProxy};

use crate::{
    database::{column, open},
    folder::{Folder, output},
    program::{Ended, METHODS, check, concurrently, program, run},
    row::Row,
    servers::{start_on_localhost, target},
    shell::{sh_in_namespaces_as_root, sh_or_skip},
};

/// A user name and a password that no output may contain.
const LOGIN: (&str, &str) = ("auditor", "s3cr3t");

/// A port of 127.0.0.1 on which nothing listens.
const CLOSED: &str = "127.0.0.1:1";

fn start(login: Option<(&'static str, &'static str)>) -> SocksProxy {
    SocksProxy::start(login).expect("the lab has a proxy")
}

/// Returns the URL of the proxy with a login.
fn with_login(proxy: &SocksProxy, (user, password): (&str, &str)) -> String {
    format!("socks5://{user}:{password}@{}", proxy.endpoint())
}

/// Runs a check through this proxy, with rows in JSON.
fn check_through(url: &str, arguments: &[&str]) -> Ended {
    check([&["--proxy", url, "-o", "jsonl"], arguments].concat())
}

fn only_row(ended: &Ended) -> Row {
    let [row] = <[Row; 1]>::try_from(ended.rows()).expect("one target is one row");
    row
}

/// What a request for an address in 192.0.2.0/24 stands for, and the verdict.
const FAILURES: [(u8, (&str, &str)); 14] = [
    (1, ("unchecked", "proxy-failed")),
    (2, ("unchecked", "proxy-denied")),
    (3, ("filtered", "unreachable-from-proxy")),
    (4, ("filtered", "unreachable-from-proxy")),
    (5, ("closed", "refused-to-proxy")),
    (6, ("filtered", "unreachable-from-proxy")),
    (7, ("unchecked", "proxy-failed")),
    (8, ("unchecked", "proxy-failed")),
    (99, ("unchecked", "proxy-failed")),
    (200, ("unchecked", "proxy-failed")),
    (201, ("unchecked", "proxy-failed")),
    (202, ("unchecked", "proxy-failed")),
    (203, ("unchecked", "proxy-failed")),
    (204, ("filtered", "no-answer")),
];

#[test]
fn answers_of_a_proxy_have_the_same_meaning_by_every_method() {
    let proxy = start(None);
    let ssh = start_on_localhost(Behaviour::Ssh);
    let telnet = start_on_localhost(Behaviour::Telnet);
    let failing = FAILURES.map(|(code, _)| format!("192.0.2.{code}:22"));
    let serving = [target(&ssh), target(&telnet)];
    concurrently(METHODS, |method| {
        let targets = failing.iter().chain(&serving).map(String::as_str).chain([CLOSED]);
        let options = ["--method", method, "--retries=0", "--timeout=2s", "--quiet"];
        let ended =
            check_through(&proxy.url(), &options.into_iter().chain(targets).collect::<Vec<_>>());
        assert_eq!(ended.status, Some(3), "{method}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), FAILURES.len() + 3, "{method}: {}", ended.stdout);
        let row = |target: &str| {
            let is_it = |row: &&Row| format!("{}:{}", row.host, row.port) == target;
            rows.iter().find(is_it).expect("each target has a row")
        };
        for ((code, verdict), target) in FAILURES.into_iter().zip(&failing) {
            assert_eq!(row(target).verdict(), verdict, "{method}: code {code}");
        }
        assert_eq!(row(CLOSED).verdict(), ("closed", "refused-to-proxy"), "{method}");
        for (target, service) in serving.iter().zip(["ssh", "telnet"]) {
            let row = row(target);
            assert_eq!(row.service.as_deref(), Some(service), "{method}: {row:?}");
            assert_eq!(row.address, Some(Ipv4Addr::LOCALHOST.into()), "{method}: {row:?}");
        }
    });
}

#[test]
fn gate_fails_where_the_proxy_failed() {
    let proxy = start(None);
    let gates = ["--forbid=telnet", "--require-verdict", "--retries=0", "--timeout=1s"];
    for (target, status) in [
        (CLOSED, 0),
        ("192.0.2.5:23", 0),
        ("192.0.2.1:23", 1),
        ("192.0.2.2:23", 1),
        ("192.0.2.4:23", 1),
        ("192.0.2.203:23", 1),
        ("192.0.2.204:23", 1),
    ] {
        let ended = check_through(&proxy.url(), &[&gates[..], &[target]].concat());
        assert_eq!(ended.status, Some(status), "{target}: {}", ended.stderr);
    }
}

#[test]
fn summary_says_that_loss_is_not_measured() {
    let proxy = start(None);
    let folder = Folder::new();
    let summary = folder.file("summary.json");
    let ended =
        check_through(&proxy.url(), &[CLOSED, "--verbose", "--summary", &output("json", &summary)]);
    let expected = format!(
        "through {}: refusals are the word of the proxy, and loss on the way to targets is not measured",
        proxy.url()
    );
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    let text = fs::read_to_string(summary).expect("it was written");
    assert!(text.contains(r#""syns":0,"syns_lost":0"#), "{text}");
    assert!(text.contains(&format!(r#""proxy":"{}""#, proxy.url())), "{text}");
}

#[test]
fn login_is_sent_and_appears_in_no_output() {
    let proxy = start(Some(LOGIN));
    let server = start_on_localhost(Behaviour::Ssh);
    let folder = Folder::new();
    let files = ["rows.jsonl", "rows.csv", "audit.db", "run.journal", "summary.json", "page.html"]
        .map(|name| folder.file(name));
    let [rows, csv, database, journal, summary, page] = &files;
    let url = with_login(&proxy, LOGIN);
    let shown: Vec<_> = [("jsonl", rows), ("csv", csv), ("sqlite", database), ("html", page)]
        .map(|(format, file)| output(format, file))
        .into_iter()
        .flat_map(|spec| ["-o".to_owned(), spec])
        .collect();
    let journal = journal.to_str().expect("it is a text");
    let (summary, own) = (output("json", summary), target(&server));
    let mut arguments =
        vec!["--proxy", &url, "--journal", journal, "--summary", &summary, "-v", &own];
    arguments.extend(shown.iter().map(String::as_str));
    let ended = check(&arguments);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let hides = |text: &str, what: &str| {
        assert!(!text.contains(LOGIN.1) && !text.contains(LOGIN.0), "{what}: {text}");
    };
    hides(&ended.stdout, "stdout");
    hides(&ended.stderr, "stderr");
    for file in &files {
        let content = fs::read(file).expect("it was written");
        hides(&String::from_utf8_lossy(&content), &file.display().to_string());
    }
    let record: Vec<String> = column(&open(database), "SELECT arguments FROM runs");
    let expected = format!("--proxy socks5://***@{}", proxy.endpoint());
    assert!(record.iter().all(|record| record.contains(&expected)), "{record:?}");
}

#[test]
fn proxy_of_the_variable_is_used_unless_the_option_names_another() {
    let proxy = start(Some(LOGIN));
    let server = start_on_localhost(Behaviour::Ssh);
    let url = with_login(&proxy, LOGIN);
    let through = |arguments: &[&str]| {
        let mut program = program();
        program.env("PORTMUSTER_PROXY", &url).arg("check").args(arguments).arg(target(&server));
        run(&mut program)
    };
    let requested = |ended: &Ended| {
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        proxy.requests().len()
    };
    assert_eq!(requested(&through(&[])), 1);
    assert_eq!(requested(&through(&["--proxy", "none"])), 1);
    let other = start(None);
    assert_eq!(requested(&through(&["--proxy", &other.url()])), 1);
    assert_eq!(other.requests(), [target(&server)]);
}

#[test]
fn proxy_that_does_not_accept_this_client_ends_the_run_before_it_starts() {
    let proxy = start(Some(LOGIN));
    let ssh = start_on_localhost(Behaviour::Ssh);
    let place = proxy.endpoint();
    for (url, expected) in [
        (
            with_login(&proxy, ("auditor", "wr0ng")),
            format!(
                "the proxy socks5://{place} can't be used: it requires another user name and password"
            ),
        ),
        (
            proxy.url(),
            format!(
                "the proxy socks5://{place} can't be used: it requires another user name and password"
            ),
        ),
        (
            format!("socks5://{CLOSED}"),
            format!(
                "the proxy socks5://{CLOSED} can't be used: it can't be connected to, or does not answer"
            ),
        ),
        (
            format!("socks5://{}", ssh.endpoint()),
            "it does not speak SOCKS5, or hangs up".to_owned(),
        ),
        (
            "socks5://no-such-host.invalid".to_owned(),
            "the proxy socks5://no-such-host.invalid:1080 can't be used: ".to_owned(),
        ),
    ] {
        let ended = check_through(&url, &["127.0.0.1:22", "--forbid=telnet"]);
        assert_eq!(ended.status, Some(3), "{url}: {}", ended.stderr);
        assert!(ended.stderr.contains(&expected), "{url}: {}", ended.stderr);
        assert!(!ended.stderr.contains("wr0ng") && ended.stdout.is_empty(), "{ended:?}");
    }
    assert_eq!(proxy.requests(), [""; 0]);
}

#[test]
fn invalid_urls_are_refused_and_not_repeated() {
    for url in
        ["socks4://u:s3cr3t@bastion", "http://u:s3cr3t@bastion:3128", "socks5://u:s3cr3t@bastion:x"]
    {
        for line in [vec!["--proxy", url], vec!["--proxy", url, "-frobnicate", "10.0.0"]] {
            let ended = check([&line[..], &["127.0.0.1:22"]].concat());
            assert_eq!(ended.status, Some(2), "{ended:?}");
            assert!(!ended.stderr.contains("s3cr3t"), "{}", ended.stderr);
        }
        let ended = check(["--proxy", url, "127.0.0.1:22"]);
        assert!(ended.stderr.contains("--proxy: "), "{}", ended.stderr);
    }
}

#[test]
fn proxy_looks_names_up() {
    let proxy = start(None);
    let server = start_on_localhost(Behaviour::Ssh);
    let port = server.endpoint().port();
    let url = proxy.url().replace("socks5", "socks5h");
    let ended = check_through(&url, &[&format!("db.localhost:{port}")]);
    let row = only_row(&ended);
    assert_eq!(row.service.as_deref(), Some("ssh"), "{row:?}");
    assert_eq!((row.address, row.attempts), (None, 1), "{row:?}");
    assert_eq!(proxy.requests(), [format!("db.localhost:{port}")]);

    // Which of its addresses the proxy has tried is unknown, so this is no proof.
    let ended = check_through(&url, &["db.localhost:1", "--require-verdict", "--forbid=telnet"]);
    assert_eq!(only_row(&ended).verdict(), ("closed", "refused-in-part"), "{}", ended.stderr);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let ended = check_through(&url, &["no-such-name.invalid:22", "--retries=0", "--no-canaries"]);
    assert_eq!(only_row(&ended).verdict(), ("filtered", "unreachable-from-proxy"));

    let explained =
        run(program().args(["explain", "--proxy", &url, &format!("db.localhost:{port}")]));
    assert_eq!(explained.status, Some(0), "{}", explained.stderr);
    for line in [
        "the proxy looks the name up".to_owned(),
        format!("connecting to db.localhost:{port} through {url}"),
        "accepted, says the proxy".to_owned(),
    ] {
        assert!(explained.stdout.contains(&line), "{}", explained.stdout);
    }
}

#[test]
fn nothing_is_excluded_or_needs_addresses_where_the_proxy_looks_names_up() {
    let proxy = start(None);
    let url = proxy.url().replace("socks5", "socks5h");
    for (options, expected) in [
        (&["--exclude=10.0.0.9"][..], "may connect to an address that is excluded"),
        (&["-4"], "may connect to an address that is excluded"),
        (&["--all-addresses"], "--all-addresses needs the addresses of names"),
        (&["-o=xml"], "each host of -o xml has an address"),
    ] {
        let ended = check([&["--proxy", &url, "db.localhost:22"], options].concat());
        assert_eq!(ended.status, Some(2), "{options:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{options:?}: {}", ended.stderr);
    }
    assert_eq!(proxy.requests(), [""; 0]);
}

#[test]
fn excluded_addresses_are_never_asked_for() {
    let proxy = start(None);
    let server = start_on_localhost(Behaviour::Ssh);
    let port = server.endpoint().port();
    let targets =
        [format!("127.0.0.2:{port}"), format!("localhost:{port}"), "192.0.2.5:22".to_owned()];
    let [excluded, name, other] = targets.each_ref().map(String::as_str);
    let ended = check_through(
        &proxy.url(),
        &["--exclude=127.0.0.0/8", "--exclude=::1", excluded, name, other],
    );
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(proxy.requests(), ["192.0.2.5:22"]);
}

#[test]
fn resumed_run_repeats_the_proxy_but_not_its_login() {
    let (proxy, other) = (start(Some(LOGIN)), start(None));
    let folder = Folder::new();
    let journal = folder.file("journal");
    let journal = journal.to_str().expect("it is a text");
    let rows = output("jsonl", &folder.file("rows"));
    let resume = |proxy: &[&str]| {
        check([&[CLOSED, "-o", &rows, "--journal", journal, "--resume"], proxy].concat())
    };
    let url = with_login(&proxy, LOGIN);
    assert_eq!(resume(&["--proxy", &url]).status, Some(0));
    let direct = resume(&[]);
    assert_eq!(direct.status, Some(2), "{}", direct.stderr);
    let expected = format!("proxy was {}, is unknown", proxy.url());
    assert!(direct.stderr.contains(&expected), "{}", direct.stderr);
    assert_eq!(resume(&["--proxy", &other.url()]).status, Some(2));
    let same = resume(&["--proxy", &url]);
    assert_eq!(same.status, Some(0), "{}", same.stderr);
    assert!(same.stderr.contains("nothing is left to do"), "{}", same.stderr);
}

#[test]
fn variable_of_other_programs_is_mentioned_and_not_used() {
    let proxy = start(None);
    let note = "ALL_PROXY is not used: --proxy connects through a proxy";
    for (arguments, is_mentioned) in [(&[][..], true), (&["--proxy", "none"], false)] {
        let mut program = program();
        program.env("ALL_PROXY", proxy.url()).args(["check", CLOSED]).args(arguments);
        let ended = run(&mut program);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains(note), is_mentioned, "{}", ended.stderr);
    }
    assert_eq!(proxy.requests(), [""; 0]);
}

#[test]
fn preloaded_library_that_redirects_connections_is_not_bypassed_in_silence() {
    let server = start_on_localhost(Behaviour::Ssh);
    let proxy = start(None);
    let script = "library=/usr/lib/$(uname -m)-linux-gnu/libproxychains.so.4
        [ -e $library ] || { echo 'libproxychains4 is missing' >&2; exit 77; }
        printf '[ProxyList]\nsocks5 127.0.0.1 %s\n' \"$1\" > \"$PWD/proxychains.conf\"
        export LD_PRELOAD=$library PROXYCHAINS_CONF_FILE=$PWD/proxychains.conf PROXYCHAINS_QUIET_MODE=1";
    let folder = Folder::new();
    let port = proxy.endpoint().port().to_string();
    let by = |command: &str| {
        let script = format!("cd {}\n{script}\n\"$portmuster\" {command}", folder.path());
        sh_or_skip("lacks proxychains", &script, &port)
    };
    let target = target(&server);
    let library = "libproxychains.so.4 is preloaded to redirect connections";
    for (command, status) in [(format!("check {target}"), 2), (format!("explain {target}"), 3)] {
        let Some(ended) = by(&command) else { return };
        assert_eq!(ended.status, Some(status), "{command}: {}", ended.stderr);
        for text in [library, "--proxy socks5://HOST:PORT", "--proxy none"] {
            assert!(ended.stderr.contains(text), "{command}: {}", ended.stderr);
        }
    }
    assert_eq!((server.counts().accepted, proxy.requests().len()), (0, 0));
    let direct = by(&format!("check {target} --proxy none")).expect("it ran before");
    assert_eq!((direct.status, proxy.requests().len()), (Some(0), 0), "{}", direct.stderr);
    let proxied = by(&format!("check {target} --proxy {}", proxy.url())).expect("it ran before");
    assert_eq!((proxied.status, proxy.requests().len()), (Some(0), 1), "{}", proxied.stderr);
}

/// Starts real proxies in a network namespace, and defines `count`, which prints the packets of a counter.
/// Proxies run as another user, so that their packets are told from those of portmuster.
const REAL_PROXIES: &str = "
    ip link set lo up
    ip route add local 10.9.0.0/16 dev lo
    ip route add unreachable 10.8.0.0/16
    nft -f - <<'END'
table inet proxied {
    counter direct {}
    counter proxied {}
    counter names {}
    chain output {
        type filter hook output priority 0
        meta skuid 0 udp dport 53 counter name names
        ip daddr 10.9.0.0/16 tcp dport { 1, 22, 2222 } meta skuid 0 counter name direct
        ip daddr 10.9.0.0/16 tcp dport { 1, 22, 2222 } meta skuid 65534 counter name proxied
        ip daddr 10.9.0.9 drop
    }
}
END
    count() { nft list counter inet proxied \"$1\" | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'; }
    listens() { ss -Hltn \"sport = :$1\" | grep -q .; }
    run_as_other() { setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\" & }
    cd \"$1\"
    chmod 755 .
    run_as_other microsocks -i 127.0.0.1 -p 1080 2> /dev/null
    cat > danted.conf <<'END'
logoutput: /dev/null
internal: 127.0.0.1 port = 1081
external: lo
socksmethod: username none
clientmethod: none
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks block { from: 0.0.0.0/0 to: 10.9.0.7/32 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
END
    chown 65534 .
    run_as_other danted -f danted.conf -p \"$PWD/danted.pid\"
    python3 -c '
import socket
server = socket.create_server((\"10.9.0.5\", 2222))
while True:
    client, _ = server.accept()
    client.sendall(b\"SSH-2.0-behind_the_proxy\\r\\n\")
    client.recv(99)' &
    for port in 1080 1081 2222; do until listens $port; do sleep 0.01; done; done
";

/// Runs a script beside the real proxies. Returns what it prints.
fn beside_real_proxies(script: &str) -> Option<String> {
    let folder = Folder::new();
    let namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let script = format!("{REAL_PROXIES}{script}");
    let ended = sh_in_namespaces_as_root(&namespaces, &script, folder.path())?;
    assert_eq!(ended.status, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    Some(ended.stdout)
}

#[test]
fn real_proxies_report_each_state_and_no_packet_goes_around_them() {
    let script = "
        through() {
            \"$portmuster\" check 10.9.0.5:2222 10.9.0.5:1 10.9.0.9:22 10.9.0.7:22 10.8.0.1:22 \\
                --proxy socks5://127.0.0.1:$2 --method $1 --retries 0 --no-kex --timeout 2s -q -o jsonl \\
                | sed \"s/^/$1 $2 /\"
        }
        running=
        for method in event-loop threads processes; do
            for port in 1080 1081; do through $method $port & running=\"$running $!\"; done
        done
        for run in $running; do wait $run; done
        \"$portmuster\" explain 10.9.0.5:2222 --no-kex --proxy socks5h://127.0.0.1:1080 > /dev/null
        \"$portmuster\" check localhost:1 --proxy socks5h://127.0.0.1:1080 -q > /dev/null
        echo \"$(count direct) direct, $(count names) names, $(($(count proxied) > 50)) proxied\"
        \"$portmuster\" check 10.9.0.5:1 --proxy none -q > /dev/null
        echo \"$(($(count direct) > 0)) direct\"";
    let Some(stdout) = beside_real_proxies(script) else { return };
    let mut lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.pop(), Some("1 direct"), "it is counted: {stdout}");
    assert_eq!(lines.pop(), Some("0 direct, 0 names, 1 proxied"), "{stdout}");
    assert_eq!(lines.len(), 3 * 2 * 5, "{stdout}");
    for line in lines {
        let [method, port, json] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let row = crate::row::read(&format!("{json}\n")).remove(0);
        let forbidden = if port == "1081" {
            ("unchecked", "proxy-denied")
        } else {
            ("closed", "refused-to-proxy")
        };
        let expected = match (row.host.as_str(), row.port) {
            ("10.9.0.5", 2222) => ("open", "accepted"),
            ("10.9.0.5", _) => ("closed", "refused-to-proxy"),
            ("10.9.0.9", _) => ("filtered", "no-answer"),
            ("10.9.0.7", _) => forbidden,
            _ => ("filtered", "unreachable-from-proxy"),
        };
        assert_eq!(row.verdict(), expected, "{method} {port}: {row:?}");
        let is_ssh = row.service.as_deref() == Some("ssh");
        assert_eq!(is_ssh, expected.0 == "open", "{method} {port}: {row:?}");
    }
}

/// OpenSSH does not say why it has no connection, so only open ports have a verdict.
#[test]
fn dynamic_forwarding_of_openssh_finds_open_ports_and_proves_nothing_else() {
    let script = "
        for key in host user; do ssh-keygen -q -t ed25519 -N '' -f $key; done
        mkdir -p /run/sshd
        $(command -v sshd || echo /usr/sbin/sshd) -D -e -p 2200 -f /dev/null -o ListenAddress=127.0.0.1 \\
            -o HostKey=\"$PWD/host\" -o AuthorizedKeysFile=\"$PWD/user.pub\" -o StrictModes=no \\
            -o UsePAM=no -o PidFile=none -o PermitRootLogin=yes 2> sshd.log &
        until listens 2200; do sleep 0.01; done
        ssh -F /dev/null -i user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -q -N \\
            -D 127.0.0.1:1082 -p 2200 root@127.0.0.1 &
        until listens 1082; do sleep 0.01; done
        \"$portmuster\" check 10.9.0.5:2222 10.9.0.5:1 10.8.0.1:22 --proxy socks5://127.0.0.1:1082 \\
            --retries 0 --no-kex -q -o jsonl || [ $? = 3 ]";
    let Some(stdout) = beside_real_proxies(script) else { return };
    let rows = crate::row::read(&stdout);
    assert_eq!(rows.len(), 3, "{stdout}");
    for row in rows {
        let is_open = (row.host.as_str(), row.port) == ("10.9.0.5", 2222);
        let expected = if is_open { ("open", "accepted") } else { ("unchecked", "proxy-failed") };
        assert_eq!(row.verdict(), expected, "{row:?}");
        assert_eq!(row.service.as_deref(), is_open.then_some("ssh"), "{row:?}");
    }
}
