//! Arguments about the host keys of ssh servers.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use portmuster::config::{HostKeyProbing, Probing};

use super::{headings, output::OutputSpec, values};
use crate::formats::KNOWN_HOSTS;

const HOST_KEYS: &str = "\
Which host keys to ask ssh servers for. After the offer of a server, portmuster answers with a key \
exchange in the same connection, and leaves with the server's reply, which has a host key and a signature \
that is verified. It never authenticates. `first` asks for one key, Ed25519 if the server has one; `all` \
makes one more connection, a second later, for each further type that the server offers. An sshd counts \
each as a connection without authentication, which tools may ban, and OpenSSH 9.8 and later refuse after \
many (PerSourcePenalties).";

/// Which host keys ssh servers are asked for.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::PROBE)]
pub(crate) struct HostKeyArgs {
    /// Which host keys to ask ssh servers for: off, first or all
    #[arg(
        hide_short_help = true,
        long,
        value_name = "WHICH",
        default_value_t = HostKeyProbing::Off,
        value_parser = values::host_keys(),
        long_help = HOST_KEYS
    )]
    pub(crate) host_keys: HostKeyProbing,
}

/// Arguments of `check` about host keys.
#[derive(Debug, Args)]
pub(crate) struct CheckHostKeyArgs {
    #[command(flatten)]
    pub(crate) probing: HostKeyArgs,

    #[arg(
        help = "Compare host keys with those of a known_hosts file; repeatable",
        hide_short_help = true,
        long,
        value_name = "FILE",
        help_heading = headings::PROBE,
        long_help = "\
Compare host keys with those of a file in the format of OpenSSH's known_hosts; repeatable. A key that the \
file revokes, a key of a type of which the file has another one for the host, and a key of which it has none \
are findings: host-key-revoked, host-key-changed and host-key-unknown. Names are those of the targets as \
they were given, with the port in the form [host]:port unless it is 22."
    )]
    pub(crate) known_hosts: Vec<PathBuf>,
}

impl CheckHostKeyArgs {
    /// Checks that host keys are asked for if an output needs them.
    ///
    /// # Errors
    /// They are not.
    pub(super) fn require_for(
        &self,
        outputs: &[OutputSpec],
        hash_hosts: bool,
    ) -> anyhow::Result<()> {
        let writes_keys = outputs.iter().any(|output| output.format().name == KNOWN_HOSTS);
        if writes_keys && self.probing.host_keys == HostKeyProbing::Off {
            bail!("-o {KNOWN_HOSTS} writes host keys: add --host-keys first");
        }
        if !self.known_hosts.is_empty() && self.probing.host_keys == HostKeyProbing::Off {
            bail!("--known-hosts compares host keys: add --host-keys first");
        }
        if hash_hosts && !writes_keys {
            bail!(
                "--hash-hosts needs an output with host names to hash: add -o {KNOWN_HOSTS}=FILE"
            );
        }
        Ok(())
    }
}

impl HostKeyArgs {
    /// Returns which host keys servers are asked for.
    ///
    /// # Errors
    /// A check with this probing ends before.
    pub(super) fn with_probing(self, probing: Probing) -> anyhow::Result<HostKeyProbing> {
        let option = match probing {
            Probing::KeyExchange => return Ok(self.host_keys),
            Probing::Greeting => "--no-kex",
            Probing::ConnectOnly => "--no-probe",
        };
        if self.host_keys != HostKeyProbing::Off {
            bail!(
                "--host-keys {} needs the algorithms of the server, which {option} does not read: \
                 remove one of them",
                self.host_keys
            );
        }
        Ok(HostKeyProbing::Off)
    }
}
