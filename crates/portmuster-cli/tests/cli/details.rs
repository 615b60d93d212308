//! Service details in rows, and the effect of `--no-kex` and `--evidence`.

use portmuster_lab::{Behaviour, KexInitDefect};

use crate::{
    program::check,
    row::Row,
    servers::{start, target},
};

/// Checks a server with this behaviour and returns its row.
fn row(behaviour: Behaviour, arguments: &[&str]) -> Row {
    let server = start(behaviour);
    let target = target(&server);
    let ended = check([&[&target[..], "-o=jsonl"], arguments].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.rows().remove(0)
}

#[test]
fn ssh_row_has_identification_algorithms_and_findings() {
    let row = row(Behaviour::Ssh, &[]);
    assert_eq!(row.ssh_protocol.as_deref(), Some("2.0"));
    assert_eq!(row.ssh_software.as_deref(), Some("OpenSSH_9.2p1"));
    assert_eq!(row.ssh_comment.as_deref(), Some("Debian-2+deb12u2"));
    let kex = row.kex_algorithms.expect("it has a KEXINIT");
    assert!(kex.iter().any(|method| method == "curve25519-sha256"), "{kex:?}");
    assert!(row.ciphers_client_to_server.is_some_and(|ciphers| !ciphers.is_empty()));
    assert_eq!((row.kex_missing, row.evidence), (None, None));

    let weak = self::row(Behaviour::SshWeak, &[]).findings.expect("it has weak algorithms");
    for finding in ["group1-sha1", "sha1-kex", "ssh-dss", "rc4", "3des", "cbc", "md5"] {
        assert!(weak.iter().any(|one| one == finding), "{finding} in {weak:?}");
    }
}

#[test]
fn kexinit_in_first_packet_is_read() {
    assert!(row(Behaviour::SshEager, &[]).kex_algorithms.is_some());
}

#[test]
fn no_kex_stops_at_the_identification() {
    let row = row(Behaviour::SshWeak, &["--no-kex"]);
    assert!(row.ssh_software.is_some());
    assert_eq!((row.kex_algorithms, row.kex_missing, row.findings), (None, None, None));
}

#[test]
fn no_probe_conflicts_with_no_kex_and_evidence() {
    for other in ["--no-kex", "--evidence"] {
        let ended = check(["127.0.0.1:1", "--no-probe", other]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let complaint = format!("error: the argument '--no-probe' cannot be used with '{other}'");
        assert!(ended.stderr.starts_with(&complaint), "{}", ended.stderr);
    }
}

#[test]
fn malformed_kexinit_keeps_ssh_and_reports_reason() {
    for (defect, why) in [
        (KexInitDefect::PacketLength, "no-packet"),
        (KexInitDefect::PaddingLength, "no-packet"),
        (KexInitDefect::ListLength, "malformed"),
        (KexInitDefect::Names, "malformed"),
    ] {
        let row = row(Behaviour::SshBadKexInit(defect), &[]);
        assert_eq!(row.service.as_deref(), Some("ssh"), "{defect:?}");
        assert_eq!(row.kex_missing.as_deref(), Some(why), "{defect:?}");
    }
}

#[test]
fn ssh_1_is_a_finding() {
    let old = row(Behaviour::SshOld, &[]);
    assert_eq!(old.findings.as_deref(), Some(&["ssh-1".to_owned()][..]));
    assert_eq!((old.kex_algorithms, old.kex_missing), (None, None));
    let both = row(Behaviour::SshBoth, &[]);
    assert_eq!(both.ssh_protocol.as_deref(), Some("1.99"));
    assert!(both.findings.is_some_and(|findings| findings[0] == "ssh-1"));
}

#[test]
fn telnet_row_has_options_and_other_row_has_protocol() {
    let telnet = row(Behaviour::Telnet, &[]);
    let options = telnet.telnet_options.expect("it negotiates options");
    let expected = ["do terminal-type", "will echo", "will suppress-go-ahead", "do window-size"];
    assert_eq!(options, expected);
    assert_eq!(row(Behaviour::Http, &[]).protocol.as_deref(), Some("http"));
    assert_eq!(row(Behaviour::TlsAlert, &[]).protocol.as_deref(), Some("tls"));
}

#[test]
fn evidence_lists_conversation_in_order() {
    let row = row(Behaviour::Telnet, &["--evidence"]);
    let evidence = row.evidence.expect("evidence was requested");
    assert_eq!((evidence.rule.as_str(), evidence.left_out_bytes), ("telnet-commands", 0));
    let sides: Vec<_> = evidence.parts.iter().map(|part| part.side.as_str()).collect();
    assert_eq!(sides, ["server", "portmuster", "server"]);
    assert_eq!(evidence.parts[0].base64.as_deref(), Some("//0Y//sB//sD//0f"));
    let prompt = evidence.parts[2].text.as_deref().expect("it is text");
    assert!(prompt.ends_with("login: "), "{prompt}");
    let times: Vec<_> = evidence.parts.iter().map(|part| part.at_ms).collect();
    assert!(times.is_sorted(), "{times:?}");
}
