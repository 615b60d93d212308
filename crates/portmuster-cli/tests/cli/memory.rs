//! Servers that send much and never finish, checked with little memory.
//!
//! A control group does not refuse memory: it kills.

use std::net::{Ipv4Addr, SocketAddr};

use portmuster_lab::{Behaviour, Crowd};

use crate::{
    program::{METHODS, concurrently},
    servers::own_address,
    shell::sh_in_control_group,
};

/// Servers in one crowd: as many as one thread of the lab serves.
const CROWD: u8 = 250;

fn crowd(behaviour: Behaviour, network: u8) -> Crowd {
    let [_, second, third, _] = own_address().octets();
    let bind = |last| SocketAddr::from((Ipv4Addr::new(127, second, third ^ network, last), 0));
    Crowd::start(behaviour, (1..=CROWD).map(bind)).expect("the lab has servers")
}

/// Returns how many of the targets to check by this method: several times as many as it has memory for.
/// Processes take most of the memory themselves.
fn enough(method: &str, targets: usize) -> usize {
    match method {
        "processes" => targets.min(32),
        "process-threads" | "process-event-loops" => targets.min(160),
        _ => targets,
    }
}

/// Asserts that each target is found as ssh or reported as unchecked for lack of memory, and that
/// most are found. `first_byte` is the time that servers get, also for their KEXINIT.
fn assert_survives(crowds: &[Crowd], methods: &[&str], first_byte: &str, mebibytes: u64) {
    let endpoints = crowds.iter().flat_map(Crowd::endpoints);
    let targets: Vec<_> = endpoints.map(ToString::to_string).collect();
    for method in methods {
        let targets = &targets[..enough(method, targets.len())];
        let arguments = format!(
            "{} --method {method} --rate max --per-host max --retries 0 \
                --first-byte {first_byte} -o jsonl",
            targets.join(" ")
        );
        let script = "exec \"$portmuster\" check $1";
        let bytes = mebibytes << 20;
        let Some(ended) = sh_in_control_group(bytes, &[], script, &arguments) else { return };
        assert!(
            matches!(ended.status, Some(0 | 3)),
            "{method} {mebibytes} MiB: {:?} {}",
            ended.status,
            ended.stderr
        );
        let rows = ended.rows();
        assert_eq!(rows.len(), targets.len(), "{method} {mebibytes} MiB");
        for row in &rows {
            let is_expected = row.service.as_deref() == Some("ssh")
                || row.verdict() == ("unchecked", "out-of-memory");
            assert!(is_expected, "{method} {mebibytes} MiB: {row:?}");
        }
        let found = rows.iter().filter(|row| row.open).count();
        assert!(found * 2 > rows.len(), "{method} {mebibytes} MiB: {found} {}", ended.stderr);
    }
}

#[test]
fn unfinished_kexinits_do_not_exhaust_memory() {
    concurrently([(32, 0), (64, 1)], |(mebibytes, network)| {
        let crowds = [crowd(Behaviour::SshIncompleteKexInit, network)];
        // The serial method is left out because it would take too long.
        assert_survives(&crowds, &METHODS[1..], "1s", mebibytes);
    });
}

#[test]
fn large_kexinits_do_not_exhaust_memory() {
    let crowds = [0, 1].map(|network| crowd(Behaviour::SshLargeKexInit, network));
    // They answer at once, unless this machine is busy.
    assert_survives(&crowds, &METHODS, "20s", 32);
    assert_survives(&crowds, &METHODS, "20s", 64);
}
