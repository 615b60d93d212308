//! Runs the program from a shell, under limits, in namespaces of its own, or where the system
//! forbids something.

use std::fs;

use tempfile::TempDir;

use crate::program::{Ended, PATH, command, run};

/// What forbids calls, what feeds input in two parts, what answers for names, and what is at the end
/// of a wire: Python programs, told at their heads.
const FORBID: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/forbid.py");
const IN_TWO_PARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/in_two_parts.py");
const NAME_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/name_server.py");
const FAR_END: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/far_end.py");

/// A part of a script that makes port 9 of a network of its own answer nobody.
pub(crate) const DROPPED: &str = "nft -f - <<'END'
table inet dropped {
    chain input {
        type filter hook input priority 0
        tcp dport 9 drop
    }
}
END";

/// What a script ends with that can't do here what it is for.
const CANNOT: i32 = 77;

/// Runs the script, in which `$portmuster` is the program and `$1` the argument.
pub(crate) fn sh(script: &str, argument: &str) -> Ended {
    run(named(&mut command("sh")).args(["-euc", script, "sh", argument]))
}

/// Runs the script as [`sh`] does; `None` when it ends with 77, which is said.
pub(crate) fn sh_where_it_can(what: &str, script: &str, argument: &str) -> Option<Ended> {
    let ended = sh(script, argument);
    if ended.status == Some(CANNOT) {
        say_skipped(what);
        return None;
    }
    Some(ended)
}

/// Runs `portmuster check` with these arguments where these calls fail with these error numbers,
/// after a line of shell that sets limits. `None` where calls can't be forbidden, which is said.
pub(crate) fn check_forbidden(calls: &str, limits: &str, arguments: &str) -> Option<Ended> {
    let script =
        format!("{limits}\nexec python3 \"$forbid\" $1 -- \"$portmuster\" check {arguments}");
    sh_where_it_can("forbids no calls of its processor", &script, calls)
}

/// Runs the script as [`sh`] does, as root in namespaces of its own: nobody else sees what it
/// mounts, and it ends with the script. `None` on a machine that allows no such namespaces, and
/// when the script ends with 77 because something else is missing, which is said.
pub(crate) fn sh_apart(namespaces: &[&str], script: &str, argument: &str) -> Option<Ended> {
    let as_root = ["--user", "--map-root-user"];
    sh_in(&[&as_root[..], namespaces].concat(), script, argument)
}

/// Runs the script as [`sh_apart`] does, as a root who may do more than one that is root in a
/// namespace of users only.
pub(crate) fn sh_apart_as_root(namespaces: &[&str], script: &str, argument: &str) -> Option<Ended> {
    sh_in(namespaces, script, argument)
}

/// Runs the script as [`sh_apart`] does, in a folder and a network of its own, where the resolver knows
/// the names of this hosts file and no others.
pub(crate) fn sh_with_hosts(hosts: &str, script: &str) -> Option<Ended> {
    let folder = TempDir::new().expect("there is room for a folder");
    fs::write(folder.path().join("hosts"), hosts).expect("there is room");
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files\n").expect("there is room");
    let script = format!(
        "ip link set lo up
        mount --bind \"$1/hosts\" /etc/hosts
        mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf
        cd \"$1\"
        {script}"
    );
    let folder = folder.path().to_str().expect("temporary folders have plain names");
    sh_apart(&["--net", "--mount"], &script, folder)
}

fn sh_in(namespaces: &[&str], script: &str, argument: &str) -> Option<Ended> {
    let apart = |script| {
        run(named(&mut command("unshare"))
            .args(namespaces)
            .args(["sh", "-euc", script, "sh", argument]))
    };
    if apart("true").status != Some(0) {
        say_skipped(&format!("allows no namespaces (unshare {})", namespaces.join(" ")));
        return None;
    }
    let ended = apart(script);
    if ended.status == Some(CANNOT) {
        say_skipped(&format!("lacks something: {}", ended.stderr.trim()));
        return None;
    }
    Some(ended)
}

fn named(command: &mut assert_cmd::Command) -> &mut assert_cmd::Command {
    command
        .env("portmuster", PATH)
        .env("forbid", FORBID)
        .env("in_two_parts", IN_TWO_PARTS)
        .env("name_server", NAME_SERVER)
        .env("far_end", FAR_END)
}

#[expect(clippy::print_stderr, reason = "a test that can't run here says so")]
fn say_skipped(what: &str) {
    eprintln!("skipped: this machine {what}");
}
