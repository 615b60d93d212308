//! What a run must not find.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::gate::{Doubt, Forbidden};

const FORBID: &str = "\
End with status 1 when one of these is found: open; services, as rows name them (ssh also finds \
ssh-throttled); findings, as rows name them; or findings by the group: weak (any), weak-kex, \
weak-host-key, weak-cipher, weak-mac. With commas between them; repeatable. Every target counts, \
whatever --show says, and the summary says what was proven.";

const REQUIRE_VERDICT: &str = "\
End with status 1, too, when a target may yet have telnet or what is forbidden. Only a refusal, ssh, \
telnet, or another protocol that has a name is a verdict. What is filtered, unresolved, unchecked, \
refused-in-part (a name of which an address was not tried), silent, closed-early, a tarpit, unknown, telnet-likely (unless that is forbidden), ssh-broken, \
not-probed, excluded, left, or on a line that could not be read has none; nor has ssh without an offer (kex-missing, ssh-throttled) \
where a finding is forbidden that needs it. Each kind is listed with its first targets. Where open \
alone is forbidden an accepted connection is a verdict.";

const ALLOW: &str = "\
With --require-verdict: let targets of these kinds pass without one: filtered, unresolved, \
unchecked, refused-in-part, silent, closed-early, tarpit, unknown, telnet-likely, ssh-broken, ssh-throttled, \
kex-missing, not-probed, excluded, and bad-lines (that --skip-bad-lines passes over, and names that a format hashes or counts). They are still \
counted. With commas between them; repeatable. A run in which no connection was accepted or refused \
ends with status 1 all the same.";

/// What a run must not find.
#[derive(Debug, Args)]
pub(crate) struct Gates {
    /// End with status 1 when one of these is found: telnet, ssh-1, weak …; repeatable
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

    /// End with status 1, too, when a target may yet have one, or telnet
    #[arg(long, conflicts_with_all = ["list", "count"], long_help = REQUIRE_VERDICT)]
    pub(crate) require_verdict: bool,

    /// With --require-verdict: let these pass without one: unresolved, excluded …; repeatable
    #[arg(
        long,
        value_name = "KINDS",
        value_delimiter = ',',
        value_parser = doubt(),
        hide_possible_values = true,
        requires = "require_verdict",
        long_help = ALLOW
    )]
    pub(crate) allow: Vec<Doubt>,
}

impl Gates {
    /// Whether there is any.
    pub(crate) fn are_set(&self) -> bool {
        self.require_verdict || !self.forbid.is_empty()
    }
}

fn forbidden() -> impl TypedValueParser<Value = Forbidden> {
    PossibleValuesParser::new(Forbidden::all().iter().map(Forbidden::name))
        .try_map(|name| Forbidden::named(&name).ok_or("it can't be forbidden"))
}

fn doubt() -> impl TypedValueParser<Value = Doubt> {
    PossibleValuesParser::new(Doubt::ALL.map(Doubt::name))
        .try_map(|name| Doubt::named(&name).ok_or("it is no kind of target without a verdict"))
}
