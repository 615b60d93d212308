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
End with status 1 when a target may yet have what is forbidden: it is filtered, silent, \
closed-early, a tarpit, unchecked or left, or its ssh made no offer to judge by. A name that does \
not exist has nothing, and passes.";

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

    /// End with status 1 when a target gave no answer, too
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
