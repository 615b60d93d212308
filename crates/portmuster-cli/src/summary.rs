//! The summary of a run on stderr.

use portmuster::{
    Account, PortState, Positions, Service,
    config::MaxMissed,
    method::WorkersReport,
    outcome::{Certainty, Fault, NetworkLoss},
    sink::Ending,
    targets::Skipped,
};

mod certainty;

use crate::{clock, terminal};

/// The most networks whose loss is printed.
const NETWORKS_MAX: usize = 10;

/// Prints the result of all targets. `total` is their number; `None`: some came from a stream.
pub(crate) fn print(account: &Account, total: Option<u128>, skipped: Skipped, lines_skipped: u64) {
    terminal::note(equation(account, total));
    if total.is_none() {
        terminal::note("targets of streams were not deduplicated");
    }
    let services: Vec<_> = Service::ALL
        .into_iter()
        .filter(|&service| account.service(service) > 0)
        .map(|service| format!("{} {service}", account.service(service)))
        .collect();
    if !services.is_empty() {
        terminal::note(format!("open: {}", services.join(", ")));
    }
    for (count, what) in [
        (skipped.duplicates, "duplicates, checked once"),
        (skipped.excluded, "excluded from the list"),
        (skipped.reserved, "skipped: addresses that no host can have"),
        (lines_skipped.into(), "lines or targets that can't be read were skipped"),
    ] {
        if count > 0 {
            let or_more = if count == u128::MAX { " or more" } else { "" };
            terminal::note(format!("{count}{or_more} {what}"));
        }
    }
    if account.found_on_retry > 0 {
        terminal::note(found_on_retry(account));
    }
    if let Some(share) = account.syn_loss().filter(|_| account.syns_lost > 0) {
        terminal::note(format!(
            "loss: {:.1}% of {} SYNs to targets that answered one got no answer",
            share * 100.0,
            account.syns
        ));
    }
    if let Some(fault) = account.last_fault {
        terminal::note(shortages(account, fault));
    }
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
        "this machine ran out of resources {} times, last of {last} (see {}); this lowered the number \
         of connections in flight to {}, {} at the end",
        account.faults,
        remedy(last),
        account.in_flight_least,
        account.in_flight_most
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
        terminal::note(format!("resuming with {left} of {total} targets left"));
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
            "started without {late} of {all} workers, which were not ready in time"
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
    match account.slowed {
        0 => format!("{found} open only on a retry; if that is many, lower --rate"),
        times => format!("{found} open only on a retry; slowed down {times} times: lower --rate"),
    }
}

/// Returns the sum over all targets as an equation.
fn equation(account: &Account, total: Option<u128>) -> String {
    let ending = ending(account, total);
    let states: Vec<_> = PortState::ALL
        .into_iter()
        .map(|state| format!("{} {state}", account.state(state)))
        .collect();
    format!(
        "{} targets = {} + {} excluded + {} left, in {:.2} s",
        ending.targets,
        states.join(" + "),
        account.excluded,
        ending.left(),
        account.elapsed.as_secs_f64()
    )
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
