//! Runs the fuzz targets in `fuzz/`, one after another. The transcripts and the sample lists are the
//! seeds.

use std::env;

use anyhow::{Result, ensure};

use crate::command::{self, root, succeeds};

/// The fuzz targets.
const TARGETS: [&str; 12] = [
    "ssh",
    "telnet",
    "kexinit",
    "host_key",
    "auto",
    "list",
    "csv",
    "nmap_xml",
    "nmap_grep",
    "masscan",
    "known_hosts",
    "ansible",
];
/// How long each target runs by default, in seconds.
pub(crate) const SECONDS: &str = "60";

/// Runs every target for this many seconds.
///
/// # Errors
/// A tool is missing, and the message says what to type; or the fuzzer found an input that breaks an
/// invariant.
pub(crate) fn run(seconds: &str) -> Result<()> {
    ensure!(
        succeeds("rustup run nightly cargo fuzz --version"),
        "looking for a nightly toolchain and cargo-fuzz: at least one is missing; type: rustup toolchain \
         install nightly && cargo install --locked cargo-fuzz"
    );
    let corpus = root().join("fuzz/corpus");
    let seeds = "cargo test --locked --package portmuster --lib seeds_are_written";
    command::run(&[("PORTMUSTER_CORPUS", &corpus.to_string_lossy())], seeds)?;
    // The fuzzer's compiler flags differ, so a shared folder would rebuild everything each time.
    let folder = env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "fuzz/target".to_owned());
    for target in TARGETS {
        let line = format!(
            "rustup run nightly cargo fuzz run --target-dir {folder}/fuzz {target} -- \
             -max_total_time={seconds} -timeout=10 -max_len=100000"
        );
        command::run(&[], &line)?;
    }
    Ok(())
}
