//! Runs the program from a shell, under limits, in namespaces, or with forbidden system calls.

use std::fs;

use tempfile::TempDir;

use crate::program::{Ended, PATH, command, run};

/// Python helpers: a seccomp filter, input in two stages, a name server, and a simulated remote
/// network. Each file documents itself.
const SECCOMP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/seccomp.py");
const STAGED_INPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/staged_input.py");
const NAME_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/name_server.py");
const REMOTE_NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/remote_network.py");

/// Shell lines that drop packets to port 9 in a network namespace.
pub(crate) const DROP_PORT_9: &str = "nft -f - <<'END'
table inet dropped {
    chain input {
        type filter hook input priority 0
        tcp dport 9 drop
    }
}
END";

/// Exit status of a script that cannot run on this machine.
const SKIPPED: i32 = 77;

/// Runs the script, in which `$portmuster` is the program and `$1` the argument.
pub(crate) fn sh(script: &str, argument: &str) -> Ended {
    run(with_paths(&mut command("sh")).args(["-euc", script, "sh", argument]))
}

/// Runs the script as [`sh`] does. Prints a note and returns `None` when the script exits with 77.
pub(crate) fn sh_or_skip(what: &str, script: &str, argument: &str) -> Option<Ended> {
    let ended = sh(script, argument);
    if ended.status == Some(SKIPPED) {
        print_skipped(what);
        return None;
    }
    Some(ended)
}

/// Runs `portmuster check` while system calls fail with the given error numbers, after a shell line
/// that sets limits. Prints a note and returns `None` where calls cannot be forbidden.
pub(crate) fn check_with_seccomp(calls: &str, limits: &str, arguments: &str) -> Option<Ended> {
    let script =
        format!("{limits}\nexec python3 \"$seccomp\" $1 -- \"$portmuster\" check {arguments}");
    sh_or_skip("cannot forbid system calls", &script, calls)
}

/// Runs the script as [`sh`] does, as root in new namespaces. Its mounts are private and end with
/// the script. Prints a note and returns `None` where the machine allows no such namespaces, and
/// when the script exits with 77 because it lacks something else.
pub(crate) fn sh_in_namespaces(namespaces: &[&str], script: &str, argument: &str) -> Option<Ended> {
    let as_root = ["--user", "--map-root-user"];
    sh_in(&[&as_root[..], namespaces].concat(), script, argument)
}

/// Runs the script as [`sh_in_namespaces`] does, but as the real root, who may do more than root of
/// a user namespace.
pub(crate) fn sh_in_namespaces_as_root(
    namespaces: &[&str],
    script: &str,
    argument: &str,
) -> Option<Ended> {
    sh_in(namespaces, script, argument)
}

/// Runs the script as [`sh_in_namespaces`] does, in a temporary folder and a network namespace,
/// where the resolver knows only the names of this hosts file.
pub(crate) fn sh_with_hosts(hosts: &str, script: &str) -> Option<Ended> {
    let folder = TempDir::new().expect("temporary folders can be created");
    fs::write(folder.path().join("hosts"), hosts).expect("it is writable");
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files\n").expect("it is writable");
    let script = format!(
        "ip link set lo up
        mount --bind \"$1/hosts\" /etc/hosts
        mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf
        cd \"$1\"
        {script}"
    );
    let folder = folder.path().to_str().expect("temporary paths are UTF-8");
    sh_in_namespaces(&["--net", "--mount"], &script, folder)
}

fn sh_in(namespaces: &[&str], script: &str, argument: &str) -> Option<Ended> {
    let in_namespaces = |script| {
        run(with_paths(&mut command("unshare"))
            .args(namespaces)
            .args(["sh", "-euc", script, "sh", argument]))
    };
    if in_namespaces("true").status != Some(0) {
        print_skipped(&format!("allows no namespaces (unshare {})", namespaces.join(" ")));
        return None;
    }
    let ended = in_namespaces(script);
    if ended.status == Some(SKIPPED) {
        print_skipped(&format!("lacks something: {}", ended.stderr.trim()));
        return None;
    }
    Some(ended)
}

fn with_paths(command: &mut assert_cmd::Command) -> &mut assert_cmd::Command {
    command
        .env("portmuster", PATH)
        .env("seccomp", SECCOMP)
        .env("staged_input", STAGED_INPUT)
        .env("name_server", NAME_SERVER)
        .env("remote_network", REMOTE_NETWORK)
}

#[expect(clippy::print_stderr, reason = "a skipped test prints the reason")]
fn print_skipped(what: &str) {
    eprintln!("skipped: this machine {what}");
}
