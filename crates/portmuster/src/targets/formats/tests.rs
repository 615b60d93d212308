use std::io::BufReader;

use super::*;
use crate::targets::{ports::Ports, set::TargetSet};

/// Returns the items of an input, as `item label`, then the messages of its errors and the kinds of
/// skipped records.
fn read_with(input: &str, options: &InputOptions) -> (Vec<String>, Vec<String>) {
    // If a comment comes first, detection of the format needs more than the first line.
    let capacity = if options.format.is_some() { 7 } else { 8192 };
    let input = BufReader::with_capacity(capacity, input.as_bytes());
    let mut entries = Entries::new(input, options.clone());
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    loop {
        let mut set = TargetSet::default();
        let item = entries.next_item(|item, label| {
            set.add(item, label, &Ports::ssh_and_telnet())?;
            Ok(label.map_or_else(|| item.to_owned(), |label| format!("{item} {label}")))
        });
        match item {
            Ok(Some(item)) => items.push(item),
            Ok(None) => break,
            Err(error) => errors.push(error.to_string()),
        }
    }
    let skipped = entries.skipped_records().iter();
    errors.extend(skipped.map(ToString::to_string));
    (items, errors)
}

fn options(format: InputFormat) -> InputOptions {
    InputOptions { format: Some(format), ..InputOptions::default() }
}

fn read(input: &str, format: InputFormat) -> (Vec<String>, Vec<String>) {
    read_with(input, &options(format))
}

/// Returns the items of an input without errors, and checks that detection finds the same format.
fn items(input: &str, format: InputFormat) -> Vec<String> {
    let (named, errors) = read(input, format);
    assert_eq!(errors, [""; 0], "{input}");
    assert_eq!(read_with(input, &InputOptions::default()).0, named, "detected: {input}");
    named
}

fn assert_error(input: &str, format: InputFormat, part: &str) {
    let (_, errors) = read(input, format);
    assert!(errors.iter().any(|error| error.contains(part)), "{input}: {errors:?}");
}

#[test]
fn format_names_are_parsed() {
    for format in InputFormat::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    assert!("auto".parse::<InputFormat>().is_err());
}

#[test]
fn a_csv_header_determines_the_columns() {
    use InputFormat::Csv;
    for (input, expected) in [
        ("ip,port\n127.0.9.1,22\n", vec!["127.0.9.1:22"]),
        (
            "Name;IP Address;Port\r\ncore;10.0.0.1;22\r\n\r\nedge;10.0.0.2;\r\n",
            vec!["10.0.0.1:22 core", "10.0.0.2 edge"],
        ),
        (
            "host\tports\tx\n2001:db8::1\t\"22,23\"\ty\na.example\t\t\n",
            vec!["[2001:db8::1]:22,23", "a.example"],
        ),
        ("hostname,ip\nweb1.example,10.0.0.1\n", vec!["10.0.0.1 web1.example"]),
        ("ip\n10.0.0.1\n10.0.0.0/30\n", vec!["10.0.0.1", "10.0.0.0/30"]),
        (
            "\u{feff}\"ip\",\"label\"\n\"10.0.0.1\",\"a \"\"b\"\"\nc\"\n,\n",
            vec!["10.0.0.1 a \"b\" c"],
        ),
    ] {
        assert_eq!(items(input, Csv), expected);
    }
}

#[test]
fn csv_without_a_header_has_the_columns_host_port_and_label() {
    let csv = |input| read(input, InputFormat::Csv);
    assert_eq!(
        csv("127.0.9.1,22\n127.0.9.2,23,core,x\n"),
        (vec!["127.0.9.1:22".into(), "127.0.9.2:23 core".into()], vec![])
    );
    assert_eq!(csv("10.0.0.1;;x"), (vec!["10.0.0.1 x".into()], vec![]));
    assert_error("core,10.0.0.1\n", InputFormat::Csv, "a host and a port; name the columns");
    assert_error("10.0.0.1,core\n", InputFormat::Csv, "a host and a port; name the columns");
}

#[test]
fn csv_columns_are_selected_by_name_or_number() {
    let with = |columns: &str, input: &str| {
        let columns = Some(columns.parse().expect("columns"));
        read_with(input, &InputOptions { columns, ..InputOptions::default() })
    };
    let table = "id,where,which,what\n7,10.0.0.1,22,core\n";
    assert_eq!(with("where,which,what", table), (vec!["10.0.0.1:22 core".into()], vec![]));
    assert_eq!(with("Where,,WHAT", table), (vec!["10.0.0.1 core".into()], vec![]));
    assert_eq!(with("2,3", "7,10.0.0.1,22\n"), (vec!["10.0.0.1:22".into()], vec![]));
    assert_eq!(with("2,3", "id,ip,port\n7,10.0.0.1,22\n"), (vec!["10.0.0.1:22".into()], vec![]));
    let (_, errors) = with("host", table);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].contains("no column is called \"host\"; the columns are id, where, which, what")
    );
    for text in ["", ",1", "1,2,3,4", "0"] {
        assert!(text.parse::<Columns>().is_err(), "{text:?}");
    }
}

#[test]
fn csv_errors_have_the_line_and_column_of_the_cell() {
    for (input, part) in [
        ("ip,port\n10.0.0.1,22\n10.0.0.2, 70000\n", "line 3, column 11: port 70000"),
        ("ip,port\n\"10.0.0.300\",22\n", "line 2, column 2: \"10.0.0.300\" is not an IPv4"),
        ("x,ip\n\"a\nb\",c d\n", "line 3, column 5: ' ' is not allowed in a host name"),
        ("ip,port\n,22\n", "line 2, column 1: this can't be read as csv: the host cell"),
        (
            "ip,port\n10.0.0.1:22,23\n",
            "line 2, column 13: this can't be read as csv: ports are given",
        ),
        (
            "ip,name\n10.0.0.1,\"core\n10.0.0.2,edge\n",
            "line 2, column 10: this can't be read as \
                                                      csv: the quote that begins this cell",
        ),
    ] {
        assert_error(input, InputFormat::Csv, part);
    }
    assert_error(
        &format!("ip\n{}", "a".repeat(2 << 20)),
        InputFormat::Csv,
        "a record is longer than 1048576 bytes",
    );
}

const NMAP_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<?xml-stylesheet href="file:///nmap.xsl" type="text/xsl"?>
<nmaprun scanner="nmap" args="nmap -oX - 10.0.0.0/24">
<hosthint><status state="up"/><address addr="10.0.0.9" addrtype="ipv4"/></hosthint>
<host><status state="up" reason="syn-ack"/>
<address addr="10.0.0.1" addrtype="ipv4"/><address addr="00:00:5E:00:53:01" addrtype="mac"/>
<hostnames><hostname name="one.example" type="PTR"/><hostname name="one" type="user"/></hostnames>
<ports><extraports state="closed" count="98"/>
<port protocol="tcp" portid="22"><state state="open"/><service name="ssh"/></port>
<port protocol="tcp" portid="23"><state state="closed"/></port>
<port protocol="udp" portid="161"><state state="open"/></port>
<port protocol="tcp" portid="2222"><state state="open|filtered"/></port>
</ports></host>
<host><status state="down"/><address addr="10.0.0.2" addrtype="ipv4"/></host>
<host><status state="up"/><address addr="2001:db8::3" addrtype="ipv6"/>
<ports><port protocol="tcp" portid="23"><state state="filtered"/></port></ports></host>
<runstats/></nmaprun>
"#;

#[test]
fn nmap_xml_is_read_as_open_ports_or_as_hosts() {
    let nothing_open = "1 host that is up and has no open TCP port (-p LIST checks ports of \
                        every host that is up)";
    let open = (vec!["10.0.0.1:22,2222 one".to_owned()], vec![nothing_open.to_owned()]);
    assert_eq!(read(NMAP_XML, InputFormat::NmapXml), open);
    assert_eq!(read_with(NMAP_XML, &InputOptions::default()), open);
    let up = InputOptions { hosts_up: true, ..InputOptions::default() };
    assert_eq!(
        read_with(NMAP_XML, &up),
        (vec!["10.0.0.1 one".into(), "2001:db8::3".into()], vec![])
    );
}

#[test]
fn invalid_or_incomplete_nmap_xml_is_an_error() {
    let cut = NMAP_XML.find("<host><status state=\"down\"").expect("the second host");
    let (found, errors) = read(&NMAP_XML[..cut], InputFormat::NmapXml);
    assert_eq!((found.len(), errors.len()), (1, 1), "{errors:?}");
    assert!(errors[0].starts_with("line 15, column 1: this can't be read as nmap-xml: it ends"));
    for (input, part) in [
        ("", "it ends before </nmaprun>"),
        ("<html></html>", "its root element is <html>, not <nmaprun>"),
        ("10.0.0.1\n", "it has text outside of its root element"),
        ("<nmaprun><host></nmaprun>", "line 1, column"),
        ("<nmaprun><host><address addr=\"x\"/></host></nmaprun>", "column 16: this can't be read"),
        ("<nmaprun><host><address addr=\"&x;\"/></host></nmaprun>", "column 16"),
    ] {
        assert_error(input, InputFormat::NmapXml, part);
    }
    let deep = format!("<nmaprun>{}", "<a>".repeat(100));
    assert_error(&deep, InputFormat::NmapXml, "nested too deeply");
    let long = format!("<nmaprun a=\"{}", "a".repeat(9 << 20));
    assert_error(&long, InputFormat::NmapXml, "a record is longer than");
}

const NMAP_GREP: &str = "# Nmap 7.93 scan initiated Mon as: nmap -oG - 10.0.0.0/24\n\
    Host: 10.0.0.1 (one.example)\tStatus: Up\n\
    Host: 10.0.0.1 (one.example)\tPorts: 22/open/tcp//ssh//OpenSSH 9.2, x/, 23/closed/tcp//telnet///, \
    161/open/udp/////, 2222/open|filtered/tcp/////\tIgnored State: closed (998)\n\
    Host: 10.0.0.2 ()\tStatus: Down\n\
    Host: 10.0.0.3 ()\tStatus: Up\n\
    # Nmap done at Mon\n";

#[test]
fn nmap_grep_is_read_as_open_ports_or_as_hosts() {
    let (found, skipped) = read(NMAP_GREP, InputFormat::NmapGrep);
    assert_eq!(found, ["10.0.0.1:22,2222 one.example"]);
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!(read_with(NMAP_GREP, &InputOptions::default()).0, found);
    let up = InputOptions { hosts_up: true, ..options(InputFormat::NmapGrep) };
    assert_eq!(
        read_with(NMAP_GREP, &up),
        (vec!["10.0.0.1 one.example".into(), "10.0.0.3".into()], vec![])
    );
    let masscan = "#masscan\nTimestamp: 17\tHost: 10.0.0.1 ()\tPorts: 22/open/tcp//ssh//\n";
    assert_eq!(read(masscan, InputFormat::NmapGrep).0, ["10.0.0.1:22"]);
    let normal = "# Nmap 7.93 scan initiated\nNmap scan report for 10.0.0.1\n";
    assert_error(
        normal,
        InputFormat::NmapGrep,
        "line 2, column 1: this can't be read as nmap-grep: \
                                                 this is nmap's normal output",
    );
    assert_error("Host: x ()\tStatus: Up", InputFormat::NmapGrep, "column 7: this can't be read");
}

#[test]
fn list_of_ports_that_can_t_be_read_as_a_whole_is_an_error() {
    for (ports, column) in [
        ("22/open/tcp//ssh///, 2323/op", 48),
        ("22/open/tcp//ssh///, 2323", 48),
        ("22/open/tcp//ssh///, x2323/open/tcp//telnet///", 48),
        ("22/open/tcp//ssh///, 92323/open/tcp//telnet///", 48),
        ("22/open/tcp//ssh///, 0/open/tcp//telnet///", 48),
        ("22/open/tcp//ssh///;2323/open/tcp//telnet///", 27),
        ("22/open/tcp//ssh///, ", 27),
        ("161/open/udp////, 2323/open/tcp//telnet///", 27),
        ("22/open/tcp//ssh///\tPorts: 2323/open/tcp//telnet///", 54),
    ] {
        let line = format!("Host: 10.0.0.1 (a)\tPorts: {ports}\n");
        let (found, errors) = read(&line, InputFormat::NmapGrep);
        assert_eq!(found, Vec::<String>::new(), "{ports}");
        let place = format!("line 1, column {column}: ");
        assert!(errors.len() == 1 && errors[0].starts_with(&place), "{ports}: {errors:?}");
    }
    assert_eq!(read("Host: 10.0.0.1 ()\tPorts: \n", InputFormat::NmapGrep).0, Vec::<String>::new());
}

#[test]
fn masscan_lines_and_json_are_read() {
    use InputFormat::Masscan;
    let lines = "#masscan\nopen tcp 22 127.0.9.1 1700000000\nbanner tcp 23 127.0.9.2 17 telnet x\n\
                 # end\n";
    assert_eq!(items(lines, Masscan), ["127.0.9.1:22", "127.0.9.2:23"]);
    let json = "[\n{   \"ip\": \"127.0.9.1\",   \"timestamp\": \"17\", \"ports\": [ {\"port\": 22, \
                \"proto\": \"tcp\", \"status\": \"open\", \"reason\": \"syn-ack\", \"ttl\": 64} ] }\
                \n,\n{ \"ip\": \"2001:db8::1\", \"ports\": [{\"port\": 23}] },\n]\n";
    assert_eq!(items(json, Masscan), ["127.0.9.1:22", "[2001:db8::1]:23"]);
    let old = "[\n{\"ip\":\"127.0.9.1\",\"ports\":[{\"port\":22}]},\n{finished: 1}\n]\n";
    assert_eq!(items(old, Masscan), ["127.0.9.1:22"]);
    let ndjson = "{\"ip\":\"127.0.9.1\",\"timestamp\":\"17\",\"port\":22,\"proto\":\"tcp\",\
                  \"rec_type\":\"status\",\"data\":{\"status\":\"open\",\"reason\":\"syn-ack\",\"ttl\":64}}\n\
                  {\"ip\":\"127.0.9.1\",\"port\":23,\"proto\":\"tcp\",\"data\":{\"status\":\"closed\"}}\n\
                  {\"ip\":\"127.0.9.2\",\"port\":23,\"proto\":\"tcp\",\"rec_type\":\"banner\",\
                  \"data\":{\"service_name\":\"telnet\",\"banner\":\"login\"}}\n";
    let read_ndjson = read(ndjson, Masscan);
    assert_eq!(read_ndjson.0, ["127.0.9.1:22", "127.0.9.2:23"]);
    assert_eq!(read_ndjson.1, ["1 port that is not an open TCP port"]);
    let up = InputOptions { hosts_up: true, ..InputOptions::default() };
    assert_eq!(read_with(lines, &up).0, ["127.0.9.1", "127.0.9.2"]);
    for (input, part) in [
        ("open tcp 22 127.0.9.1 17\n10.0.0.1\n", "line 2, column 1: this can't be read as masscan"),
        ("open tcp 22 x 17\n", "\"x\" is not an address"),
        ("{\"ip\":\"127.0.9.1\",\"ports\":[{\"port\":99999}]}", "line 1, column"),
        ("[{\"ip\":", "line 1, column 8: this can't be read as masscan: EOF"),
        ("<nmaprun>", "masscan: this is XML"),
        (
            "[\n{\"ip\":\"127.0.9.1\",\"ports\":[{\"port\":22}]},\n",
            "it ends before the ] of its list",
        ),
        ("{\"ip\":\"127.0.9.1\"}", "must have `ports` or `port`"),
        ("{\"ip\":\"127.0.9.1\",\"Ports\":[{\"port\":22}]}", "must have `ports` or `port`"),
        (
            "{\"ip\":\"127.0.9.1\",\"ports\":[{\"port\":22,\"status\":\"OPEN\"}]}",
            "states that masscan writes",
        ),
    ] {
        assert_error(input, Masscan, part);
    }
}

#[test]
fn known_hosts_are_read_and_unreadable_names_counted() {
    use InputFormat::KnownHosts;
    let input = "# ours\n\
        one.example,10.0.0.1 ssh-ed25519 AAAAC3Nz one\n\
        one.example,10.0.0.1 ssh-rsa AAAAB3Nz\n\
        [two.example]:2222 ecdsa-sha2-nistp256 AAAAE2Vj\n\
        [2001:db8::1]:2222,2001:db8::2 ssh-ed25519 AAAAC3Nz\n\
        |1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAAB3Nz\n\
        *.example,!three.example ssh-rsa AAAAB3Nz\n\
        @cert-authority *.example ssh-rsa AAAAB3Nz\n";
    let (found, skipped) = read(input, KnownHosts);
    assert_eq!(
        found,
        ["one.example", "10.0.0.1", "two.example:2222", "[2001:db8::1]:2222", "2001:db8::2"]
    );
    assert_eq!(
        skipped,
        [
            "1 hashed name, which can't be read",
            "2 patterns (*, ?, !)",
            "1 line marked @revoked or @cert-authority"
        ]
    );
    assert_eq!(read_with(input, &InputOptions::default()), (found, skipped));
    for (line, part) in [
        ("10.0.0.1\n", "line 1, column 9: this can't be read as known-hosts: a key type"),
        ("a,b/c ssh-rsa AAAA\n", "line 1, column 3: this can't be read as known-hosts"),
        ("[a]:0 ssh-rsa AAAA\n", "port 0"),
    ] {
        assert_error(line, KnownHosts, part);
    }
}

#[test]
fn ini_inventories_apply_the_variables_of_hosts_and_groups() {
    use InputFormat::Ansible;
    for (input, expected) in [
        (
            "inst1 ansible_host=127.0.9.1 ansible_port=2222\ninst2 ansible_host=127.0.9.1 \
          ansible_port=2223\n",
            vec!["127.0.9.1:2222 inst1", "127.0.9.1:2223 inst2"],
        ),
        (
            "[servers]\n127.0.9.1\n[2001:db8::1]:2222\nb.example:2222 # x\n",
            vec!["127.0.9.1", "[2001:db8::1]:2222", "b.example:2222"],
        ),
        (
            "[web]\nweb[01:03].example ansible_user='a b'\n[web:vars]\nansible_port = \"2222\" # x\n",
            vec!["web01.example:2222", "web02.example:2222", "web03.example:2222"],
        ),
        // A host's group overrides the parent of that group, and the host's own variables override
        // both.
        (
            "[in]\na\nb ansible_port=4\n[out:children]\nin\n[out:vars]\nansible_port=2\n[in:vars]\n\
          ansible_port=3\n[all:vars]\nansible_port=1\n[free]\nc\n",
            vec!["a:3", "b:4", "c:1"],
        ),
        // Of groups at the same depth, the alphabetically last one overrides.
        ("[y]\na\n[x]\na\n[x:vars]\nansible_port=1\n[y:vars]\nansible_port=2\n", vec!["a:2"]),
        ("; x\n\n[g:children]\nh\n[h]\na ansible_ssh_host=10.0.0.1\n", vec!["10.0.0.1 a"]),
    ] {
        assert_eq!(items(input, Ansible), expected);
    }
    for (input, part) in [
        ("[a\nb\n", "line 1, column 1: this can't be read as ansible: the bracket"),
        ("[a:b]\nc\n", "line 1, column 1: this can't be read as ansible: [a:b] is not a section"),
        ("a b\n", "line 1, column 3: this can't be read as ansible: only variables, KEY=VALUE,"),
        ("a ansible_port=x\n", "line 1, column 16: this can't be read as ansible: \"x\" is not a"),
        (
            "a ansible_host=\"{{ x }}\"\n",
            "line 1, column 16: this can't be read as ansible: this is",
        ),
        ("\n[a]\nb ansible_host=10.0.0.0/8\n", "line 3, column 16: this can't be read as ansible"),
        ("a x='b\n", "a quote is not closed"),
        ("[a:children]\nb\n[b:children]\na\n[a]\nc\n", "a group contains itself"),
        ("all:\n  hosts:\n", "this is YAML"),
        ("a[1:70000]", "more than 65536 hosts"),
        ("a[1:65536]\nb[1:65536]\nc[1:65536]\nd[1:65536]\ne\n", "more than 262144 hosts"),
    ] {
        assert_error(input, Ansible, part);
    }
}

/// Returns the items of an inventory, and the lines of its errors.
fn items_and_bad_lines(input: &str) -> (Vec<String>, Vec<u64>) {
    let mut entries = Entries::new(input.as_bytes(), options(InputFormat::Ansible));
    let (mut items, mut lines) = (Vec::new(), Vec::new());
    loop {
        match entries.next_item(|item, _| Ok(item.to_owned())) {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, lines),
            Err(error) => {
                assert_eq!(error.kind().is_final(), error.to_string().contains("YAML"), "{error}");
                lines.push(error.line());
            }
        }
    }
}

#[test]
fn bad_lines_of_ini_inventories_leave_only_certain_hosts() {
    for (input, items, lines) in [
        // A host line is one error, and all hosts of its pattern are left out.
        ("a\nb c\nd ansible_port=2 # x\n", vec!["a", "d:2"], vec![2]),
        ("a[1:3] x\na2\na4\n", vec!["a4"], vec![1, 2]),
        ("a b\na b\nc\n", vec!["c"], vec![1, 2]),
        ("a 'b\n'a' ansible_host=1.1.1.1\nc\n", vec!["c"], vec![1, 2]),
        ("[2001:db8::1]:22 b\n[2001:db8::1]\n2001:db8::2\n", vec![], vec![1, 2, 3]),
        ("a\0b\nc\n", vec!["c"], vec![1]),
        ("a[1:2\nc\n", vec!["c"], vec![1]),
        // The variables of a host may be in a line that can't be read.
        ("a ansible_host=10.0.0.1 b\n[g]\na\nc\n", vec!["c"], vec![1, 3]),
        ("[g]\na\n[h]\na b\nc\n[h:vars]\nansible_port=1\n", vec!["c:1"], vec![4, 2]),
        // So may those of a group and of the groups in it; other hosts have variables of their own.
        ("a\n[g]\nb\n[g:vars]\nansible_port 1\n", vec!["a"], vec![5, 3]),
        ("[g]\nb\n[h:children]\ng\n[h:vars]\nansible_port 1\n", vec![], vec![6, 2]),
        ("[g]\nb\n[g:vars]\nansible_user x\n", vec!["b"], vec![4]),
        (
            "b ansible_host=10.0.0.1 ansible_port=1\n[g]\nb\n[g:vars]\n'ansible_port=1\n",
            vec!["10.0.0.1:1"],
            vec![5],
        ),
        ("[g]\nb\n[h:children]\n\"g\n[h:vars]\nansible_port=1\n", vec![], vec![4, 2]),
        // Nothing is known of the lines after a header that can't be read.
        ("a\n[g:x]\nb\n\n# c\nd\n[h]\ne\n", vec!["a", "e"], vec![2, 3, 6]),
        ("[g]\na\n[g:var]\nansible_port=1\n[h]\nb\n", vec!["b"], vec![3, 4, 2]),
        ("[g]\na\n[h:child]\ng\n[i]\nb\n", vec!["b"], vec![3, 4, 2]),
        ("[g]\na\n[g:vars\nansible_port=1\n[h]\nb\n", vec![], vec![3, 4, 2, 6]),
        ("[g:x]\na\n[h\nansible_port=1\n[i]\nb\n", vec![], vec![1, 2, 3, 4, 6]),
        ("[g\0]\na\n[h]\nb\n", vec!["b"], vec![1, 2]),
        // YAML ends the inventory.
        ("a\nb c\nd:\ne\n", vec![], vec![2, 3]),
    ] {
        assert_eq!(
            items_and_bad_lines(input),
            (items.into_iter().map(Into::into).collect(), lines),
            "{input}"
        );
    }
}

#[test]
fn bad_lines_of_an_inventory_are_bounded() {
    let input = "a b\n".repeat(100_000);
    let mut entries = Entries::new(input.as_bytes(), options(InputFormat::Ansible));
    let mut lines = 0;
    let last = loop {
        match entries.next_item(|_, _| Ok(())) {
            Err(error) if !error.kind().is_final() => lines += 1,
            last => break last.expect_err("there are too many bad lines"),
        }
    };
    assert!(last.to_string().contains("65536 of the lines can't be read"), "{last}");
    assert_eq!(lines, 65_536);
}

#[test]
fn json_inventories_of_ansible_inventory_are_read() {
    use InputFormat::Ansible;
    let input = r#"{
    "_meta": {
        "hostvars": {
            "web1": {"ansible_host": "10.0.0.1", "ansible_port": 2222, "x": {"y": [1, null]}},
            "web2": {"ansible_port": "2223"}
        }
    },
    "all": {"children": ["ungrouped", "web"]},
    "ungrouped": {"hosts": ["lone.example"]},
    "web": {"hosts": ["web1", "web2", "web3"], "vars": {"ansible_port": 24}},
    "old": ["10.0.0.9"]
}
"#;
    assert_eq!(
        items(input, Ansible),
        ["10.0.0.1:2222 web1", "web2:2223", "lone.example", "web3:24", "10.0.0.9"]
    );
    for (input, part) in [
        ("{\"_meta\": 1}", "line 1, column"),
        ("{\"a\": {\"hosts\": [1]}}", "line 1, column"),
        ("{\"a\":", "line 1, column 6: this can't be read as ansible: EOF"),
        ("{} x", "trailing characters"),
        (
            "{\n\"_meta\": {\"hostvars\": {\"a\": {\"ansible_host\": \"x y\"}}}}",
            "line 2, column 51",
        ),
    ] {
        assert_error(input, Ansible, part);
    }
    let deep = format!("{{\"a\": {{\"b\": {}", "[".repeat(1000));
    assert_error(&deep, Ansible, "EOF while parsing");
}

#[test]
fn the_first_target_is_returned_without_waiting_for_more_input() {
    struct Pipe(Vec<&'static str>);
    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let part = self.0.pop().expect("the reader waits for more than it needs");
            buffer[..part.len()].copy_from_slice(part.as_bytes());
            Ok(part.len())
        }
    }
    for (mut parts, expected) in [
        (vec!["a", ".example:22\n"], "a.example:22"),
        (vec!["ip,port\n", "10.0.0.1,22\n"], "10.0.0.1:22"),
        (vec!["open tcp 22 10.0.0.1 17\n"], "10.0.0.1:22"),
        (vec!["[\n", "{\"ip\":\"10.0.0.1\",\"ports\":[{\"port\":22}]}"], "10.0.0.1:22"),
        (
            vec![
                "<nmaprun><host>\n",
                "<address addr=\"10.0.0.1\"/><port portid=\"22\">\
               <state state=\"open\"/></port></host>",
            ],
            "10.0.0.1:22",
        ),
        (vec!["a.example ssh-ed25519 AAAA\n"], "a.example"),
        (vec!["Host: 10.0.0.1 ()\tPorts: 22/open/tcp////\n"], "10.0.0.1:22"),
    ] {
        parts.reverse();
        let mut entries = Entries::new(BufReader::new(Pipe(parts)), InputOptions::default());
        let item = entries.next_item(|item, _| Ok(item.to_owned())).expect("a valid input");
        assert_eq!(item.as_deref(), Some(expected));
    }
}
