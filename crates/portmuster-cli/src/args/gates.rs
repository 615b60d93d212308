//! What a run must not find.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::gate::Forbidden;

const FORBID: &str = "\
End with status 1 when one of these is found: open; services, as rows name them (ssh also finds \
ssh-throttled); findings, as rows name them; or findings by the group: weak (any), weak-kex, \
weak-host-key, weak-cipher, weak-mac. With commas between them; repeatable. Every target counts, \
whatever --show says, and the summary says what was proven.";

const REQUIRE_VERDICT: &str = "\
End with status 1, too, when a target may yet have telnet or what is forbidden: it is filtered, \
silent, closed-early, a tarpit, not-probed, unchecked or left; it is telnet-likely, and that is not \
forbidden; a finding is forbidden, and its ssh made no offer to judge by. Where open alone is \
forbidden an accepted connection is a verdict. A name that does not exist has nothing, and passes.";

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
