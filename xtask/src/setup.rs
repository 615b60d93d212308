//! Finds the programs that the other steps need, and installs those that are missing.
//!
//! Debian packages are installed where root rights are available without a password. Elsewhere the
//! error says what to type. Toolchain components are never installed: the user chooses the toolchain.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::command::{self, output, succeeds};
use crate::python;
use crate::step::Status;

mod browser;

/// The programs that tests start and the files that they read, each with its Debian package.
const PROGRAMS: &[(&str, &str)] = &[
    ("sshd", "openssh-server"),
    ("dropbear", "dropbear-bin"),
    ("dropbearkey", "dropbear-bin"),
    ("in.telnetd", "telnetd-ssl"),
    ("inetutils-telnetd", "inetutils-telnetd"),
    ("busybox-static", "busybox-static"),
    ("microsocks", "microsocks"),
    ("danted", "dante-server"),
    ("proxychains4", "proxychains4"),
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
    ("/usr/lib/python3/dist-packages/nmap/nmap.py", "python3-nmap"),
    ("/usr/lib/python3/dist-packages/prometheus_client/parser.py", "python3-prometheus-client"),
    ("/usr/lib/python3/dist-packages/junitparser/junitparser.py", "python3-junitparser"),
    ("/usr/lib/python3/dist-packages/jsonschema/validators.py", "python3-jsonschema"),
    ("ndiff", "ndiff"),
    ("xsltproc", "xsltproc"),
    ("chromium", "chromium"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

/// Asks whether python3 can create virtual environments, which Debian has in the package python3-venv.
const HAS_VENV: &str = "python3 -m ensurepip --version";

/// Fetches the package that contains the published schemas.
const FETCH_SCHEMAS: &str = "cargo fetch --locked --manifest-path xtask/schemas/Cargo.toml";

/// The programs that benchmarks compare or measure with, each with its Debian package.
const PEERS: &[(&str, &str)] =
    &[("nmap", "nmap"), ("masscan", "masscan"), ("zmap", "zmap"), ("strace", "strace")];

/// Folders with servers that the PATH of an ordinary user may lack.
const SERVER_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The folder that sshd requires when root starts it. The service creates it at its start, but a
/// build machine never starts the service.
const SSHD_DIRECTORY: &str = "/run/sshd";

/// The rights of this process to install packages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rights {
    Root,
    /// sudo works without a password.
    Sudo,
    User,
}

/// Checks that everything the other steps need is there, and installs what is missing.
///
/// # Errors
/// Something is missing and can't be installed; the message says what to type.
pub(crate) fn run() -> Result<Status> {
    check_toolchain()?;
    let rights = rights();
    install_programs(rights)?;
    command::run(&[], FETCH_SCHEMAS).context("fetching the schemas that the tests validate by")?;
    if python::is_supported() {
        python::prepare()?;
    }
    browser::install_driver()?;
    if rights == Rights::Root {
        create_sshd_directory(Path::new(SSHD_DIRECTORY))?;
    }
    Ok(Status::Passed)
}

fn check_toolchain() -> Result<()> {
    for line in ["cargo fmt --version", "cargo clippy --version"] {
        ensure!(
            succeeds(line),
            "looking for rustfmt and clippy: {line} fails; type: rustup component add rustfmt clippy"
        );
    }
    Ok(())
}

/// Installs the missing programs that the benchmarks compare, where the rights suffice. Returns the
/// command that installs what is still missing, or `None` if everything is there.
pub(crate) fn install_peers() -> Option<String> {
    let missing = || missing_packages(PEERS, is_installed).join(" ");
    let packages = missing();
    if packages.is_empty() {
        return None;
    }
    if let Some(line) = install_line(rights(), &packages).filter(|_| succeeds("apt-get --version"))
    {
        eprintln!("{line}");
        // The benchmark leaves out what could not be installed, and the caller reports it.
        let _ = command::run(&[], &line);
    }
    let packages = missing();
    (!packages.is_empty()).then(|| format!("apt-get install {packages}"))
}

fn install_programs(rights: Rights) -> Result<()> {
    let mut missing = missing_packages(PROGRAMS, is_installed);
    if !succeeds(HAS_VENV) {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !succeeds("apt-get --version") {
        bail!(
            "looking for the programs that the tests start: some are missing; install the programs of \
             these Debian packages with your package manager: {packages}"
        );
    }
    let Some(line) = install_line(rights, &packages) else {
        bail!(
            "looking for the programs that the tests start: some are missing; at the root of the \
             repository, type: sudo {}",
            script_line(&packages)
        );
    };
    eprintln!("{line}");
    command::run(&[], &line).context("installing the programs that the tests start")?;
    let missing = missing_packages(PROGRAMS, is_installed).join(" ");
    ensure!(
        missing.is_empty(),
        "installing {packages}: programs of these packages are still missing: {missing}"
    );
    Ok(())
}

/// The packages of the programs and files that are not installed, each once. Programs of one package
/// must be adjacent in `wanted`.
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

/// The command line that installs `packages`; `None` without the rights to install.
fn install_line(rights: Rights, packages: &str) -> Option<String> {
    match rights {
        Rights::Root => Some(script_line(packages)),
        Rights::Sudo => Some(format!("sudo -n {}", script_line(packages))),
        Rights::User => None,
    }
}

fn script_line(packages: &str) -> String {
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

/// Whether a program is in `PATH` or in a folder with servers, or a file with an absolute path exists.
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

/// Creates the folder that only its owner may write to; sshd refuses any other.
fn create_sshd_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .with_context(|| format!("creating {} for sshd", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: [&str; 27] = [
        "openssh-server",
        "dropbear-bin",
        "telnetd-ssl",
        "inetutils-telnetd",
        "busybox-static",
        "microsocks",
        "dante-server",
        "proxychains4",
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
        "python3-nmap",
        "python3-prometheus-client",
        "python3-junitparser",
        "python3-jsonschema",
        "ndiff",
        "xsltproc",
        "chromium",
        "nodejs",
        "npm",
    ];

    #[test]
    fn no_package_is_missing_if_all_programs_are_installed() {
        assert!(missing_packages(PROGRAMS, |_| true).is_empty());
    }

    #[test]
    fn package_with_two_missing_programs_is_listed_once() {
        assert_eq!(missing_packages(PROGRAMS, |_| false), PACKAGES);
    }

    #[test]
    fn one_missing_program_of_a_package_lists_the_package() {
        assert_eq!(
            missing_packages(PROGRAMS, |program| program != "dropbearkey"),
            ["dropbear-bin"]
        );
        assert_eq!(missing_packages(PROGRAMS, |program| program != "in.telnetd"), ["telnetd-ssl"]);
    }

    #[test]
    fn user_without_rights_has_no_install_line() {
        let line = |rights| install_line(rights, "a b");
        assert_eq!(line(Rights::Root).as_deref(), Some("sh xtask/install-servers.sh a b"));
        assert_eq!(line(Rights::Sudo).as_deref(), Some("sudo -n sh xtask/install-servers.sh a b"));
        assert_eq!(line(Rights::User), None);
    }

    #[test]
    fn only_an_executable_file_is_a_program() {
        assert!(is_program(Path::new("/bin/sh")));
        assert!(!is_program(Path::new("/bin")));
        assert!(!is_program(Path::new("/etc/passwd")));
        assert!(!is_program(Path::new("/no/such/file")));
    }
}
