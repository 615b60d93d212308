//! Gates of the command line: conditions on what a run finds, which decide its exit status.
//!
//! The gates examine every outcome, whichever rows the outputs show.

use anyhow::{anyhow, bail};
use portmuster::{
    config::{HostKeyProbing, Probing},
    gates::{Forbidden, GateReport, GateState, Gates, ItemReport, MissingVerdicts, TargetSample},
    sink::SarifRules,
    targets::Shard,
};

use crate::{args::Check, numbers::with_commas, terminal};

/// Creates the gates of the command line; `None`: it sets none.
///
/// # Errors
/// `--forbid` names something that the run would not detect.
pub(crate) fn create(check: &Check) -> anyhow::Result<Option<Gates>> {
    let (args, probing) = (&check.gates, check.probe.probing());
    for item in &args.forbid {
        if let Some(flag) = hiding_flag(*item, probing) {
            bail!("--forbid {item} can't be detected with {flag}: remove one of them");
        }
        if item.needs_host_keys() && check.host_keys.probing.host_keys == HostKeyProbing::Off {
            bail!("--forbid {item} can't be detected without host keys: add --host-keys first");
        }
        if *item == Forbidden::SharedHostKey && check.selection.shard != Shard::WHOLE {
            bail!(
                "--forbid {item} compares the host keys of all targets, and --shard {} checks a part of \
                 them: compare the rows of all parts with portmuster keys",
                check.selection.shard
            );
        }
        if item.needs_known_keys() && check.host_keys.known_hosts.is_empty() {
            bail!("--forbid {item} can't be detected without known keys: add --known-hosts FILE");
        }
    }
    let gates = Gates::new(args.forbid.iter().copied());
    let gates = if args.require_verdict {
        let gates = gates.requiring_verdicts(args.allow.iter().copied());
        check.max_missed().into_iter().fold(gates, Gates::limiting_missed)
    } else {
        gates
    };
    Ok(args.are_set().then_some(gates))
}

/// Returns what SARIF reports: everything that is forbidden, and all weaknesses.
pub(crate) fn sarif_rules(check: &Check) -> SarifRules {
    let forbid = |rules: SarifRules, item: &Forbidden| match *item {
        Forbidden::Open => rules.forbid_open(),
        Forbidden::Service(service) => rules.forbid_service(service),
        Forbidden::Weakness(weakness) => rules.forbid_weakness(weakness),
        Forbidden::Group(group) => {
            group.weaknesses().iter().copied().fold(rules, SarifRules::forbid_weakness)
        }
        _ => rules,
    };
    let rules = check.gates.forbid.iter().fold(SarifRules::new(), forbid);
    if check.selection.all_addresses { rules.with_addresses() } else { rules }
}

/// Returns the flag that keeps a run with this probing from detecting the item.
fn hiding_flag(item: Forbidden, probing: Probing) -> Option<&'static str> {
    if item.is_detectable_with(probing) {
        return None;
    }
    Some(if probing == Probing::ConnectOnly { "--no-probe" } else { "--no-kex" })
}

/// Continues the gates of a run that resumes after `outcomes` outcomes; `None`: it has no state yet.
///
/// # Errors
/// The state belongs to other gates or to another number of outcomes.
pub(crate) fn resume(
    gates: Gates,
    state: Option<&GateState>,
    outcomes: u64,
) -> anyhow::Result<Gates> {
    let state = state.unwrap_or(gates.state()).clone();
    gates.resuming(state, outcomes).map_err(|_| {
        anyhow!("the journal has no state of these gates: start the run again without --resume")
    })
}

/// Prints what was found, and what is proven.
pub(crate) fn print(report: &GateReport) {
    for item in &report.items {
        terminal::note(describe_item(item, report));
    }
    if let Some(unproven) = &report.unproven {
        terminal::note(describe_unproven(unproven, report));
    }
    if let Some(max_missed) = report.exceeded_max_missed {
        terminal::note(format!(
            "it is not proven that at most {max_missed} of the silent targets were missed (--max-missed)"
        ));
    }
    if report.uncompared > 0 {
        terminal::note(format!(
            "the host keys of {} servers were not compared, because a run remembers 262,144 keys: check \
             fewer targets, or compare the rows with portmuster keys",
            with_commas(report.uncompared)
        ));
    }
    if report.is_cut_short {
        terminal::note("an input list was not read to its end: its remaining targets are unknown");
    }
    if !report.has_answers {
        terminal::note(
            "no connection was accepted or refused, so this run proves nothing: check the targets, \
             their names and the network path to them",
        );
    }
}

fn describe_item(item: &ItemReport, report: &GateReport) -> String {
    let name = item.item;
    let mut parts = Vec::new();
    let TargetSample { count, first, .. } = &item.found;
    if *count > 0 {
        let found = describe_sample(first, (*count).into());
        parts.push(format!("{name} on {}: {found}", with_commas(*count)));
    }
    let (absent, total) = (with_commas(item.absent), with_commas(report.input_size));
    parts.push(format!("no {name} on {absent} of {total}"));
    let kinds = item.inconclusive.iter().map(|&(kind, count)| (kind.name(), count));
    let left = (report.left > 0).then_some(("left", report.left));
    let others = kinds.chain(left);
    parts.extend(others.map(|(what, count)| format!("{} {what}", with_commas(count))));
    parts.join("; ")
}

fn describe_unproven(unproven: &[MissingVerdicts], report: &GateReport) -> String {
    let total = with_commas(report.input_size);
    let (passed, refused): (Vec<_>, Vec<_>) = unproven.iter().partition(|kind| kind.is_allowed);
    let count = |kinds: &[&MissingVerdicts]| kinds.iter().map(|kind| kind.count).sum::<u128>();
    let (without, allowed) = (count(&refused) + report.left, count(&passed));
    let proven = match (without, allowed) {
        (0, 0) if report.is_cut_short => {
            format!("a verdict on each of the {total} that were read")
        }
        (0, 0) => format!("a verdict on each of {total}"),
        (0, _) => {
            let proven = report.input_size.saturating_sub(allowed);
            format!("a verdict on {} of {total}", with_commas(proven))
        }
        _ => {
            let left = (report.left > 0).then(|| format!("{} left", with_commas(report.left)));
            let kinds = refused.iter().map(|kind| describe_kind(kind)).chain(left);
            let kinds = kinds.collect::<Vec<_>>().join("; ");
            format!("no verdict on {} of {total}: {kinds}", with_commas(without))
        }
    };
    if passed.is_empty() {
        return proven;
    }
    let kinds = passed.iter().map(|kind| format!("{} {}", with_commas(kind.count), kind.kind));
    format!("{proven}; allowed: {}", kinds.collect::<Vec<_>>().join(", "))
}

/// Describes the targets of one kind: their number, its name and the first targets.
fn describe_kind(missing: &MissingVerdicts) -> String {
    let MissingVerdicts { kind, count, first, .. } = missing;
    let count_of_kind = format!("{} {kind}", with_commas(*count));
    if first.is_empty() {
        return count_of_kind;
    }
    format!("{count_of_kind} ({})", describe_sample(first, *count))
}

/// Names the first of `count` targets, and says how many more there are.
fn describe_sample(first: &[String], count: u128) -> String {
    let named = first.join(", ");
    match count.saturating_sub(first.len() as u128) {
        0 => named,
        more => format!("{named} and {} more", with_commas(more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_limit_probing_hide_what_they_skip() {
        let flag = |name: &str, probing| {
            hiding_flag(name.parse().expect("the name can be forbidden"), probing)
        };
        assert_eq!(flag("telnet", Probing::ConnectOnly), Some("--no-probe"));
        assert_eq!(flag("open", Probing::ConnectOnly), None);
        assert_eq!(flag("weak-kex", Probing::Greeting), Some("--no-kex"));
        assert_eq!(flag("ssh-1", Probing::Greeting), None);
        assert_eq!(flag("weak", Probing::KeyExchange), None);
    }
}
