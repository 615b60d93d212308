//! The summary of a run on stderr.

use std::cmp::Reverse;

use portmuster::{
    Account, PortState, Positions, Service,
    config::{MaxMissed, Proxy},
    method::WorkersReport,
    outcome::{Certainty, Fault, NetworkLoss, Weakness},
    sink::Ending,
    targets::Skipped,
};

mod certainty;
mod software;
mod tally;
mod unchecked;

pub(crate) use self::software::SoftwareCounts;
use self::tally::top;
pub(crate) use self::unchecked::UncheckedReasons;
use crate::{
    args::{Check, SummarySpec},
    clock,
    numbers::{count, describe_elapsed, with_commas},
    terminal,
};

/// The most networks whose loss is printed.
const NETWORKS_MAX: usize = 10;

/// What a run has found, for its summary.
pub(crate) struct Found<'a> {
    pub(crate) account: &'a Account,
    /// The number of targets; `None`: some came from a stream.
    pub(crate) total: Option<u128>,
    pub(crate) skipped: Skipped,
    /// The number of input lines or targets that were skipped.
    pub(crate) lines_skipped: u64,
    /// The software of the ssh servers; `None`: it is not known of all of them.
    pub(crate) software: Option<&'a SoftwareCounts>,
    /// Why targets were not checked, in this process.
    pub(crate) unchecked: &'a UncheckedReasons,
}

impl Found<'_> {
    /// Prints the result of all targets.
    pub(crate) fn print(&self) {
        let account = self.account;
        terminal::note(equation(account, self.total));
        if self.total.is_none() {
            terminal::note("targets of streams were not deduplicated");
        }
        let tallies = [
            ("open", services(account)),
            ("software", self.software.and_then(SoftwareCounts::describe)),
            ("findings", findings(account)),
            ("unchecked", self.unchecked.describe()),
        ];
        for (what, tally) in tallies {
            if let Some(tally) = tally {
                terminal::note(format!("{what}: {tally}"));
            }
        }
        for skipped in skipped(self.skipped, self.lines_skipped) {
            terminal::note(skipped);
        }
        print_trouble(account);
    }
}

/// Prints what was lost on the way or on this machine.
fn print_trouble(account: &Account) {
    if account.found_on_retry > 0 {
        terminal::note(found_on_retry(account));
    }
    if let Some(share) = account.syn_loss().filter(|_| account.syns_lost > 0) {
        terminal::note(format!(
            "loss: {:.1}% of {} to targets that answered one got no answer",
            share * 100.0,
            count(account.syns, "SYN")
        ));
    }
    if let Some(fault) = account.last_fault {
        terminal::note(shortages(account, fault));
    }
}

/// Counts the open ports by service; `None`: there are none.
fn services(account: &Account) -> Option<String> {
    let services = Service::ALL.into_iter().filter(|&service| account.service(service) > 0);
    let services: Vec<_> = services
        .map(|service| format!("{} {service}", with_commas(account.service(service))))
        .collect();
    (!services.is_empty()).then(|| services.join(", "))
}

/// Counts the open ports by their most frequent findings; `None`: there are no findings.
fn findings(account: &Account) -> Option<String> {
    let mut findings: Vec<_> =
        Weakness::ALL.into_iter().filter(|&weakness| account.findings(weakness) > 0).collect();
    findings.sort_by_key(|&weakness| Reverse(account.findings(weakness)));
    let counts = findings.into_iter().map(|it| (it.name().to_owned(), account.findings(it)));
    top(counts, 0, "of other kinds")
}

/// Describes what the input named that is no target of the run.
fn skipped(skipped: Skipped, lines_skipped: u64) -> Vec<String> {
    let is_one = lines_skipped == 1;
    let lines = if is_one { "line or target was skipped" } else { "lines or targets were skipped" };
    let lines = format!("{lines} that can't be read");
    let or_more = |number: u128| if number == u128::MAX { " or more" } else { "" };
    [
        (skipped.duplicates, "repeated, counted once"),
        (skipped.excluded, "excluded from the list"),
        (skipped.reserved, "skipped: addresses that no host can have"),
        (lines_skipped.into(), &lines),
    ]
    .into_iter()
    .filter(|&(number, _)| number > 0)
    .map(|(number, what)| format!("{}{} {what}", with_commas(number), or_more(number)))
    .collect()
}

/// Prints which files have the results.
pub(crate) fn print_files(check: &Check) {
    let outputs = check.outputs.iter().map(|output| (output.file(), output.name()));
    let closing = [
        (check.summary.as_ref().and_then(SummarySpec::file), "summary"),
        (check.reports.metrics.as_deref(), "metrics"),
        (check.reports.gates_junit.as_deref(), "gates"),
    ];
    let files: Vec<_> = outputs
        .chain(closing)
        .filter_map(|(path, what)| Some(format!("{} ({what})", path?.display())))
        .collect();
    if !files.is_empty() {
        terminal::note(format!("written: {}", files.join(", ")));
    }
}

/// Prints that the run went through a proxy, and what that means for its results.
pub(crate) fn print_proxy(proxy: &Proxy) {
    terminal::note(format!(
        "through {proxy}: refusals are the word of the proxy, and loss on the way to targets is not measured"
    ));
}

/// Prints how many targets at most would answer one more attempt, if there are any that did not
/// answer.
///
/// `certainty` is that of a run which has measured it; `None`: the run was stopped. `max_missed` is the
/// largest share that may be missed.
pub(crate) fn print_certainty(
    account: &Account,
    certainty: Option<&Certainty>,
    max_missed: MaxMissed,
) {
    if let Some(certainty) = certainty {
        certainty::lines(certainty, max_missed).into_iter().for_each(terminal::note);
    } else if account.state(PortState::Filtered) > 0 {
        terminal::note(certainty::STOPPED);
    }
}

/// Describes the resource shortages of this machine, their effect and the setting to change.
fn shortages(account: &Account, last: Fault) -> String {
    format!(
        "this machine ran out of resources {}, last of {last} (see {}); this lowered the number of \
         connections in flight to {}, {} at the end",
        count(account.faults, "time"),
        remedy(last),
        with_commas(account.in_flight_least as u64),
        with_commas(account.in_flight_most as u64)
    )
}

fn remedy(fault: Fault) -> &'static str {
    match fault {
        Fault::ProcessDescriptors => "ulimit -n",
        Fault::SystemDescriptors => "fs.file-max",
        Fault::Buffers | Fault::Memory => "memory, net.ipv4.tcp_mem",
        Fault::LocalPorts => "net.ipv4.ip_local_port_range",
        Fault::Watches => "fs.epoll.max_user_watches",
        Fault::Threads => "ulimit -u, ulimit -v, pids.max",
        _ => "the limits of this system",
    }
}

/// Prints how many targets are left, if a run resumes.
pub(crate) fn print_resumed(settled: &Positions, total: Option<u128>) {
    if let Some(total) = total.filter(|_| !settled.is_empty()) {
        let left = total.saturating_sub(settled.len().into());
        let (left, total) = (with_commas(left), count(total, "target"));
        terminal::note(format!("resuming with {left} of {total} left"));
    }
}

/// Prints the loss on the way to the networks that lost most.
pub(crate) fn print_network_losses(losses: &[NetworkLoss]) {
    for network in losses.iter().filter(|network| network.loss.lost > 0).take(NETWORKS_MAX) {
        terminal::note(format!("loss in {network}"));
    }
}

/// Prints failures of workers and, if `verbose`, the attempts of each.
pub(crate) fn print_workers(workers: &WorkersReport, verbose: bool) {
    let all = workers.shares.len();
    if workers.ready < all {
        let late = all - workers.ready;
        terminal::note(format!(
            "started without {late} of {}, which were not ready in time",
            count(all as u64, "worker")
        ));
    }
    for (ending, count) in &workers.lost {
        terminal::note(format!("workers that ended unexpectedly: {count} {ending}"));
    }
    if verbose && all > 1 {
        let shares: Vec<_> = workers.shares.iter().map(u64::to_string).collect();
        terminal::note(format!("attempts by worker: {}", shares.join(" ")));
    }
}

fn found_on_retry(account: &Account) -> String {
    let found = account.found_on_retry;
    let found = with_commas(found);
    match account.slowed {
        0 => format!("{found} open only on a retry; if that is many, lower --rate"),
        times => {
            let times = count(times, "time");
            format!("{found} open only on a retry; slowed down {times}: lower --rate")
        }
    }
}

/// Returns the sum over all targets as an equation without zeros.
fn equation(account: &Account, total: Option<u128>) -> String {
    let ending = ending(account, total);
    let states = PortState::ALL.map(|state| (u128::from(account.state(state)), state.name()));
    let others = [(account.excluded.into(), "excluded"), (ending.left(), "left")];
    let parts: Vec<_> = states
        .into_iter()
        .chain(others)
        .filter(|&(number, _)| number > 0)
        .map(|(number, what)| format!("{} {what}", with_commas(number)))
        .collect();
    let sum = if parts.is_empty() { String::new() } else { format!(" = {}", parts.join(" + ")) };
    let (targets, time) = (count(ending.targets, "target"), describe_elapsed(account.elapsed));
    format!("{targets}{sum}, in {time}")
}

/// Returns the ending for the outputs of a run of `total` targets; `None`: some came from a stream.
pub(crate) fn ending(account: &Account, total: Option<u128>) -> Ending {
    let ended = u128::from(account.settled() + account.excluded);
    let targets = match total {
        Some(total) => total + u128::from(account.more_addresses),
        None => account.targets.into(),
    };
    Ending::new(*account, targets.max(ended), clock::now())
}
