//! The arguments of `portmuster explain`.

use std::net::IpAddr;

use clap::Args;
use portmuster::{Addresses, Config, Method};

use super::{Family, Speaking, Times, conversation::greeting_or_more};

const MORE: &str = "\
Examples:
  portmuster explain db.example:22
  portmuster explain '[2001:db8::7]:23'

Exit status:
  0    it has an answer, whatever that is
  2    the arguments can't be read
  3    it could not be checked from here, an output failed, or the run could not start
  130  interrupted
When stdout is closed early it ends quietly with 0.

Of what a server sends, 256 lines are shown, 64 items of each list, 80 letters of a name and 8
algorithms of a finding; the rest is counted.";

/// What to tell of, and by which way to check it.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct Explain {
    /// An address or a name, and one port
    #[arg(value_name = "HOST:PORT")]
    pub(crate) target: String,

    #[command(flatten)]
    pub(crate) times: Times,

    /// Stop at the identification of ssh; don't ask which algorithms it offers
    #[arg(long)]
    pub(crate) no_kex: bool,

    #[command(flatten)]
    pub(crate) speaking: Speaking,

    #[command(flatten)]
    pub(crate) family: Family,

    /// Connect from this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) source: Option<IpAddr>,
}

impl Explain {
    /// The settings of the run.
    pub(crate) fn config(&self) -> Config {
        Config {
            method: Method::EventLoop,
            workers: Some(1),
            limits: self.times.limits(),
            probing: greeting_or_more(self.no_kex),
            speak_first: self.speaking.speak_first(),
            evidence: true,
            addresses: Addresses::Each,
            source: self.source,
            ..Config::default()
        }
    }
}
