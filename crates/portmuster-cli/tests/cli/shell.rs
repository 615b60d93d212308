//! Runs the program from a shell, under limits or in namespaces of its own.

use crate::program::{Ended, PATH, command, run};

/// Runs the script, in which `$portmuster` is the program and `$1` the argument.
pub(crate) fn sh(script: &str, argument: &str) -> Ended {
    run(command("sh").env("portmuster", PATH).args(["-euc", script, "sh", argument]))
}

/// Runs the script as [`sh`] does, as root in namespaces of its own: nobody else sees what it
/// mounts, and it ends with the script. `None` on a machine that allows no such namespaces, which
/// is said.
pub(crate) fn sh_apart(namespaces: &[&str], script: &str, argument: &str) -> Option<Ended> {
    let apart = |script| {
        run(command("unshare")
            .env("portmuster", PATH)
            .args(["--user", "--map-root-user"])
            .args(namespaces)
            .args(["sh", "-euc", script, "sh", argument]))
    };
    if apart("true").status != Some(0) {
        say_skipped(namespaces);
        return None;
    }
    Some(apart(script))
}

#[expect(clippy::print_stderr, reason = "a test that can't run here says so")]
fn say_skipped(namespaces: &[&str]) {
    eprintln!("skipped: this machine allows no namespaces (unshare {})", namespaces.join(" "));
}
