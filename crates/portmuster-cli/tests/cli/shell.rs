//! Runs the program from a shell, under limits or in namespaces of its own.

use crate::program::{Ended, PATH, program, run};

/// Runs the script, in which `$portmuster` is the program, `$1` the argument.
pub(crate) fn sh(script: &str, argument: &str) -> Ended {
    run(command(&["sh"], script, argument))
}

/// Runs the script as [`sh`] does, in namespaces of its own where it is root: what it mounts
/// nobody else sees, and ends with it. `None` where this machine allows no such namespaces.
pub(crate) fn sh_apart(namespaces: &[&str], script: &str, argument: &str) -> Option<Ended> {
    let apart = [&["unshare", "--user", "--map-root-user"], namespaces].concat();
    let tried = run(command(&[&apart[..], &["sh"]].concat(), "echo works", ""));
    if tried.stdout != "works\n" {
        return None;
    }
    Some(run(command(&[&apart[..], &["sh"]].concat(), script, argument)))
}
