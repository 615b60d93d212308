//! Runs the program from a shell, under limits, in namespaces, or with forbidden system calls.

use crate::{
    folder::Folder,
    program::{Ended, PATH, command, run},
};

/// Python helpers: a seccomp filter, input in two stages, a name server, a simulated remote network,
/// and the servers of the documentation. Each file documents itself.
const SECCOMP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/seccomp.py");
const STAGED_INPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/staged_input.py");
const NAME_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/name_server.py");
const REMOTE_NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/remote_network.py");
const DOCUMENTED_SERVERS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/documented_servers.py");

/// Shell lines that drop packets to port 9 in a network namespace.
pub(crate) const DROP_PORT_9: &str = "nft -f - <<'END'
table inet dropped {
    chain input {
        type filter hook input priority 0
        tcp dport 9 drop
    }
}
END";

/// An `nsswitch.conf`, name and content, that makes the resolver read `/etc/hosts` only.
pub(crate) const FILES_ONLY: (&str, &str) = ("nsswitch.conf", "hosts: files\n");

/// An `nsswitch.conf`, name and content, that makes the resolver query name servers only.
pub(crate) const DNS_ONLY: (&str, &str) = ("nsswitch.conf", "hosts: dns\n");

/// Runs the command `$@` in a control group whose memory is limited to `$bytes`.
const CONTROL_GROUP: &str = "
    for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
        group=$root/portmuster-test-$$
        mkdir \"$group\" 2> /dev/null || continue
        for limit in memory.limit_in_bytes memory.max; do
            [ -e \"$group/$limit\" ] || continue
            trap 'rmdir \"$group\"' EXIT
            echo \"$bytes\" > \"$group/$limit\"
            [ ! -e \"$group/memory.swap.max\" ] || echo 0 > \"$group/memory.swap.max\"
            ended=0
            sh -euc 'echo 0 > \"$1/cgroup.procs\"; shift; exec \"$@\"' sh \"$group\" \"$@\" || ended=$?
            events=$(cat \"$group/memory.oom_control\" \"$group/memory.events\" 2> /dev/null || :)
            case $events in *'oom_kill '[1-9]*) exit 137 ;; esac
            exit $ended
        done
        rmdir \"$group\"
    done
    exit 77";

/// Exit status of a script that cannot run on this machine.
const SKIPPED: i32 = 77;

/// Runs the script, in which `$portmuster` is the program and `$1` the argument.
pub(crate) fn sh(script: &str, argument: &str) -> Ended {
    run(with_paths(&mut command("sh")).args(["-euc", script, "sh", argument]))
}

/// Runs the script as [`sh`] does. Prints a note and returns `None` when the script exits with 77.
pub(crate) fn sh_or_skip(what: &str, script: &str, argument: &str) -> Option<Ended> {
    unless_skipped(sh(script, argument), what)
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

/// Runs the script as [`sh_in_namespaces`] does, in a mount namespace and the given ones. The files
/// `etc`, name and content, are written to the folder and mounted over those in `/etc`. The folder
/// is `$1` and the working directory.
pub(crate) fn sh_with_etc(
    folder: &Folder,
    etc: &[(&str, &str)],
    namespaces: &[&str],
    script: &str,
) -> Option<Ended> {
    for (name, content) in etc {
        folder.write(name, content);
    }
    let mounts = etc.iter().map(|(name, _)| format!("mount --bind \"$1/{name}\" /etc/{name}\n"));
    let script = format!("{}cd \"$1\"\n{script}", mounts.collect::<String>());
    sh_in_namespaces(&[namespaces, &["--mount"]].concat(), &script, folder.path())
}

/// Runs the script as [`sh_with_etc`] does, in a temporary folder and a network namespace, where the
/// resolver knows only the names of this hosts file.
pub(crate) fn sh_with_hosts(hosts: &str, script: &str) -> Option<Ended> {
    let etc = [("hosts", hosts), FILES_ONLY];
    sh_with_etc(&Folder::new(), &etc, &["--net"], &format!("ip link set lo up\n{script}"))
}

/// Runs the script as [`sh`] does, as the given command in a control group with this memory limit
/// and no swap, of whichever cgroup version there is. `wrapper` precedes the shell, and may be
/// empty. The status is 137 if the group killed a process. Prints a note and returns `None` where
/// no such group can be created.
pub(crate) fn sh_in_control_group(
    bytes: u64,
    wrapper: &[&str],
    script: &str,
    argument: &str,
) -> Option<Ended> {
    let mut shell = command("sh");
    shell.env("bytes", bytes.to_string()).args(["-euc", CONTROL_GROUP, "sh"]);
    shell.args(wrapper).args(["sh", "-euc", script, "sh", argument]);
    let ended = run(with_paths(&mut shell));
    unless_skipped(ended, "allows no control group with a memory limit")
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
    let what = format!("lacks something: {}", ended.stderr.trim());
    unless_skipped(ended, &what)
}

/// Prints a note and returns `None` if the script exited with 77.
fn unless_skipped(ended: Ended, what: &str) -> Option<Ended> {
    if ended.status == Some(SKIPPED) {
        print_skipped(what);
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
        .env("documented_servers", DOCUMENTED_SERVERS)
}

#[expect(clippy::print_stderr, reason = "a skipped test prints the reason")]
fn print_skipped(what: &str) {
    eprintln!("skipped: this machine {what}");
}
