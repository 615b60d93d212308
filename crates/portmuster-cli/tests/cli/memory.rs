//! Servers that send much and end nothing, where there is little memory: a control group does not
//! refuse what is not there, it kills.

use std::net::{Ipv4Addr, SocketAddr};

use portmuster_lab::{Behaviour, Crowd};

use crate::{program::METHODS, servers::own_address, shell::sh_where_it_can};

/// Servers of one thread: as many as it serves at a time.
const CROWD: u8 = 250;

/// Runs a script in a control group with so much memory, of whichever version there is; ends with 137
/// when something was killed there.
const LIMITED: &str = "
    for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
        group=$root/portmuster-test-$$
        mkdir \"$group\" 2> /dev/null || continue
        for limit in memory.limit_in_bytes memory.max; do
            [ -e \"$group/$limit\" ] || continue
            trap 'rmdir \"$group\"' EXIT
            echo \"$bytes\" > \"$group/$limit\"
            [ ! -e \"$group/memory.swap.max\" ] || echo 0 > \"$group/memory.swap.max\"
            ended=0
            sh -euc 'echo 0 > \"$1/cgroup.procs\"; shift; exec \"$portmuster\" check \"$@\"' \
                sh \"$group\" $1 || ended=$?
            events=$(cat \"$group/memory.oom_control\" \"$group/memory.events\" 2> /dev/null || :)
            case $events in *'oom_kill '[1-9]*) exit 137 ;; esac
            exit $ended
        done
        rmdir \"$group\"
    done
    exit 77";

fn crowd(behaviour: Behaviour, network: u8) -> Crowd {
    let [_, second, third, _] = own_address().octets();
    let bind = |last| SocketAddr::from((Ipv4Addr::new(127, second, third ^ network, last), 0));
    Crowd::start(behaviour, (1..=CROWD).map(bind)).expect("the lab has servers")
}

/// Every target is found as ssh, or told to be unchecked for want of memory; which there are.
fn assert_survives(crowds: &[Crowd], methods: &[&str], mebibytes: u64) {
    let endpoints = crowds.iter().flat_map(Crowd::endpoints);
    let targets: Vec<_> = endpoints.map(ToString::to_string).collect();
    for method in methods {
        let arguments = format!(
            "{} --method {method} --rate max --per-host max --retries 0 --first-byte 200ms \
                -o jsonl",
            targets.join(" ")
        );
        let script = format!("bytes={}; {LIMITED}", mebibytes << 20);
        let what = "lets nobody make a control group with a limit of memory";
        let Some(ended) = sh_where_it_can(what, &script, &arguments) else { return };
        assert!(
            matches!(ended.status, Some(0 | 3)),
            "{method} {mebibytes} MiB: {:?} {}",
            ended.status,
            ended.stderr
        );
        let rows = ended.rows();
        assert_eq!(rows.len(), targets.len(), "{method} {mebibytes} MiB");
        for row in &rows {
            let is_told = row.service.as_deref() == Some("ssh")
                || row.verdict() == ("unchecked", "out-of-memory");
            assert!(is_told, "{method} {mebibytes} MiB: {row:?}");
        }
        let found = rows.iter().filter(|row| row.open).count();
        assert!(found * 2 > rows.len(), "{method} {mebibytes} MiB: {found} {}", ended.stderr);
    }
}

#[test]
fn hoarders_cannot_have_a_run_killed() {
    let crowds = [crowd(Behaviour::SshIncompleteKexInit, 0)];
    // One after the other, as serial has it, they would take their time.
    assert_survives(&crowds, &METHODS[1..], 32);
    assert_survives(&crowds, &METHODS[1..], 64);
}

#[test]
fn vast_offers_cannot_have_a_run_killed() {
    let crowds = [0, 1].map(|network| crowd(Behaviour::SshLargeKexInit, network));
    assert_survives(&crowds, &METHODS, 32);
    assert_survives(&crowds, &METHODS, 64);
}
