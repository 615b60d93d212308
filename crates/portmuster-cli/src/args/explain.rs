//! The arguments of `portmuster explain`.

use std::net::IpAddr;

use clap::Args;
use portmuster::{Config, Method, config::Addresses};

use super::{
    conversation::{SpeakFirstArgs, TimeLimits, greeting_or_kex},
    host_keys::HostKeyArgs,
    proxy::ProxyArgs,
    recog::RecogArgs,
    selection::Family,
    settings::build,
};

const EXAMPLES_AND_STATUS: &str = "\
Examples:
  portmuster explain db.example:22
  portmuster explain '[2001:db8::7]:23'

Exit status:
  0    the target was checked, whatever the verdict is
  2    the arguments are invalid
  3    the target could not be checked from this machine, an output failed, or
       the run could not start
  130  interrupted
If stdout is closed early, the command ends with status 0.

Limits of the output: 256 lines of what a server sends, 64 items of each list,
80 characters of a name and 8 algorithms of a finding. The number of omitted
ones is shown.";

/// The target to explain, and how to check it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_AND_STATUS)]
pub(crate) struct Explain {
    /// An address or a host name, with one port
    #[arg(value_name = "HOST:PORT")]
    pub(crate) target: String,

    #[command(flatten)]
    limits: TimeLimits,

    /// Stop after the ssh identification; don't read which algorithms the server offers
    #[arg(long)]
    no_kex: bool,

    #[command(flatten)]
    active: SpeakFirstArgs,

    #[command(flatten)]
    host_keys: HostKeyArgs,

    #[command(flatten)]
    pub(crate) recog: RecogArgs,

    #[command(flatten)]
    pub(crate) family: Family,

    /// Connect from this local address
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,

    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,
}

impl Explain {
    /// Returns the configuration of the run.
    ///
    /// # Errors
    /// A setting is invalid.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let probing = greeting_or_kex(self.no_kex);
        let leaves_names = self.proxy.proxy().is_some_and(|proxy| proxy.looks_up_names());
        let addresses = if leaves_names { Addresses::UntilOneAccepts } else { Addresses::Each };
        let settings = Config::builder()
            .method(Method::EventLoop)
            .workers(1)
            .probing(probing)
            .speak_first(self.active.speak_first())
            .evidence(true)
            .host_keys(self.host_keys.with_probing(probing)?)
            .addresses(addresses)
            .source(self.source);
        build(self.proxy.apply(self.limits.apply(settings))?)
    }
}
