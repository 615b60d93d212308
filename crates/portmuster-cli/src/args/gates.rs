//! Arguments that set gates: conditions under which a run ends with status 1.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use portmuster::gates::{Forbidden, Inconclusive};

use super::headings;

const FORBID: &str = "\
End with status 1 if the run finds one of these, separated by commas; repeatable. THINGS are: open; a \
service as rows name it (ssh includes ssh-throttled); a finding as rows name it; or a group of \
findings: weak (any), weak-kex, weak-host-key, weak-cipher, weak-mac; or, with --host-keys, \
shared-host-key, a key that several hosts have. Every target counts, regardless \
of --show. The summary reports what was found and on how many targets it is proven absent.";

const REQUIRE_VERDICT: &str = "\
Also end with status 1 if a target has no verdict, that is, if it may still offer telnet or something \
that is forbidden. Only a refused connection, ssh, telnet or another identified protocol is a \
verdict. These are not: filtered, unresolved, unchecked, refused-in-part (some addresses of the name \
were not tried), silent, closed-early, tarpit, unknown, telnet-likely (unless forbidden itself), \
ssh-broken, not-probed, excluded, left (not reached), and input lines that can't be read; nor is an \
ssh server without a list of algorithms (kex-missing, ssh-throttled) if a forbidden finding depends on \
it. The summary lists each kind with its first targets. If only open is forbidden, an accepted \
connection is a verdict. Silent targets that --allow filtered accepts still have to fulfil --max-missed.";

const ALLOW: &str = "\
Kinds of targets that --require-verdict accepts without a verdict, separated by commas; repeatable: \
filtered, unresolved, unchecked, refused-in-part, silent, closed-early, tarpit, unknown, \
telnet-likely, ssh-broken, ssh-throttled, kex-missing, not-probed, excluded, and bad-lines (lines that \
--skip-bad-lines skips, and hashed names). The summary still counts them. A run in which no \
connection was accepted or refused ends with status 1 regardless.";

/// The gates of a run.
#[derive(Debug, Args)]
#[command(next_help_heading = headings::GATES)]
pub(crate) struct GateArgs {
    /// Status 1 if one is found: telnet, ssh-1, weak …
    #[arg(
        long,
        value_name = "THINGS",
        value_delimiter = ',',
        value_parser = forbidden(),
        hide_possible_values = true,
        conflicts_with_all = ["list", "count"],
        long_help = FORBID
    )]
    pub(crate) forbid: Vec<Forbidden>,

    /// Status 1 if a target has no verdict
    #[arg(long, conflicts_with_all = ["list", "count"], long_help = REQUIRE_VERDICT)]
    pub(crate) require_verdict: bool,

    /// Kinds of targets that --require-verdict accepts: unresolved, excluded …; repeatable
    #[arg(
        hide_short_help = true,
        long,
        value_name = "KINDS",
        value_delimiter = ',',
        value_parser = inconclusive(),
        hide_possible_values = true,
        requires = "require_verdict",
        long_help = ALLOW
    )]
    pub(crate) allow: Vec<Inconclusive>,
}

impl GateArgs {
    /// Returns whether the run has any gate.
    pub(crate) fn are_set(&self) -> bool {
        self.require_verdict || !self.forbid.is_empty()
    }
}

fn forbidden() -> impl TypedValueParser<Value = Forbidden> {
    PossibleValuesParser::new(Forbidden::all().map(Forbidden::name))
        .try_map(|name| name.parse::<Forbidden>())
}

fn inconclusive() -> impl TypedValueParser<Value = Inconclusive> {
    PossibleValuesParser::new(Inconclusive::ALL.map(Inconclusive::name))
        .try_map(|name| name.parse::<Inconclusive>())
}
