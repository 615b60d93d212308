//! The programs that the other steps need, and what to do about those that are missing.
//!
//! Installs Debian packages when it may do so without asking anybody; otherwise it says what to
//! type. Toolchain components are never installed: which toolchain is in use is the user's choice.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::command::{self, output, succeeds};
use crate::step::Status;

/// Servers and tools that tests start, and files that they read, each with the Debian package it
/// comes in.
const PROGRAMS: &[(&str, &str)] = &[
    ("sshd", "openssh-server"),
    ("dropbear", "dropbear-bin"),
    ("dropbearkey", "dropbear-bin"),
    ("in.telnetd", "telnetd-ssl"),
    ("busybox-static", "busybox-static"),
    ("python3", "python3"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("bash", "bash"),
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("groff", "groff-base"),
    ("xmllint", "libxml2-utils"),
    ("/usr/share/nmap/nmap.dtd", "nmap-common"),
    ("/usr/lib/python3/dist-packages/libnmap/parser.py", "python3-libnmap"),
];

/// What benchmarks compare, and count with, each with the Debian package it comes in.
const PEERS: &[(&str, &str)] =
    &[("nmap", "nmap"), ("masscan", "masscan"), ("zmap", "zmap"), ("strace", "strace")];

/// Where servers are, though an ordinary user's PATH does not have it.
const SERVER_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A directory that sshd, started by root, wants to see. The service makes it when it starts, but
/// on a build machine the service never does.
const SSHD_DIRECTORY: &str = "/run/sshd";

/// Who we are, as far as installing goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rights {
    Root,
    /// sudo works without a password.
    Sudo,
    User,
}

/// Makes sure that everything is there which the other steps need.
///
/// # Errors
/// When something is missing that can't be installed from here; the message says what to type.
pub(crate) fn run() -> Result<Status> {
    toolchain()?;
    let rights = rights();
    programs(rights)?;
    if rights == Rights::Root {
        sshd_directory(Path::new(SSHD_DIRECTORY))?;
    }
    Ok(Status::Passed)
}

fn toolchain() -> Result<()> {
    for line in ["cargo fmt --version", "cargo clippy --version"] {
        ensure!(
            succeeds(line),
            "looking for rustfmt and clippy: {line} fails; type: rustup component add rustfmt clippy"
        );
    }
    Ok(())
}

/// Installs what is missing of the programs that the benchmarks compare, as far as it may. Gives the
/// packages that are missing still, and what installs them.
pub(crate) fn peers() -> Option<String> {
    let missing = || missing_packages(PEERS, is_installed).join(" ");
    let packages = missing();
    if packages.is_empty() {
        return None;
    }
    if let Some(line) = install_line(rights(), &packages).filter(|_| succeeds("apt-get --version"))
    {
        eprintln!("{line}");
        // Who can't be installed is absent, which is said.
        let _ = command::run(&[], &line);
    }
    let packages = missing();
    (!packages.is_empty()).then(|| format!("apt-get install {packages}"))
}

fn programs(rights: Rights) -> Result<()> {
    let missing = missing_packages(PROGRAMS, is_installed);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !succeeds("apt-get --version") {
        bail!(
            "looking for programs that the tests start: some are missing, those of the Debian packages {packages}; install them with your package manager, in PATH"
        );
    }
    let Some(line) = install_line(rights, &packages) else {
        bail!(
            "looking for programs that the tests start: some are missing; at the root of the repository, type: sudo {}",
            installer(&packages)
        );
    };
    eprintln!("{line}");
    command::run(&[], &line).context("installing programs that the tests start")?;
    let missing = missing_packages(PROGRAMS, is_installed).join(" ");
    ensure!(missing.is_empty(), "installing {packages}: still missing are programs of {missing}");
    Ok(())
}

/// The packages of those programs and files that `is_installed` does not know, each once.
fn missing_packages(
    wanted: &[(&str, &'static str)],
    is_installed: impl Fn(&str) -> bool,
) -> Vec<&'static str> {
    let mut packages: Vec<_> = wanted
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|&(_, package)| package)
        .collect();
    packages.dedup();
    packages
}

/// The command line that installs `packages`; `None` when we may not.
fn install_line(rights: Rights, packages: &str) -> Option<String> {
    match rights {
        Rights::Root => Some(installer(packages)),
        Rights::Sudo => Some(format!("sudo -n {}", installer(packages))),
        Rights::User => None,
    }
}

fn installer(packages: &str) -> String {
    format!("sh xtask/install-servers.sh {packages}")
}

fn rights() -> Rights {
    if output("id -u").as_deref() == Some("0") {
        Rights::Root
    } else if succeeds("sudo -n true") {
        Rights::Sudo
    } else {
        Rights::User
    }
}

pub(crate) fn is_installed(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SERVER_DIRECTORIES.map(PathBuf::from))
        .any(|directory| is_program(&directory.join(program)))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// sshd refuses a directory that others may write to.
fn sshd_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .with_context(|| format!("making {} for sshd", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: [&str; 14] = [
        "openssh-server",
        "dropbear-bin",
        "telnetd-ssl",
        "busybox-static",
        "python3",
        "iproute2",
        "nftables",
        "bash",
        "zsh",
        "fish",
        "groff-base",
        "libxml2-utils",
        "nmap-common",
        "python3-libnmap",
    ];

    #[test]
    fn nothing_is_installed_where_nothing_is_missing() {
        assert!(missing_packages(PROGRAMS, |_| true).is_empty());
    }

    #[test]
    fn a_package_with_two_programs_is_named_once() {
        assert_eq!(missing_packages(PROGRAMS, |_| false), PACKAGES);
    }

    #[test]
    fn one_missing_program_is_enough() {
        assert_eq!(
            missing_packages(PROGRAMS, |program| program != "dropbearkey"),
            ["dropbear-bin"]
        );
        assert_eq!(missing_packages(PROGRAMS, |program| program != "in.telnetd"), ["telnetd-ssl"]);
    }

    #[test]
    fn who_may_not_install_does_not() {
        let line = |rights| install_line(rights, "a b");
        assert_eq!(line(Rights::Root).as_deref(), Some("sh xtask/install-servers.sh a b"));
        assert_eq!(line(Rights::Sudo).as_deref(), Some("sudo -n sh xtask/install-servers.sh a b"));
        assert_eq!(line(Rights::User), None);
    }

    #[test]
    fn a_program_is_a_file_that_may_be_executed() {
        assert!(is_program(Path::new("/bin/sh")));
        assert!(!is_program(Path::new("/bin")));
        assert!(!is_program(Path::new("/etc/passwd")));
        assert!(!is_program(Path::new("/no/such/file")));
    }
}
