//! What a run came to, in a few lines.

use portmuster::{
    Account, Fault, PortState, Positions, Service, WorkersReport, sink::Ending, targets::Skipped,
};

use crate::{output, terminal};

/// Says what became of every target. `total` is how many there were; `None`: as many as came.
pub(crate) fn say(account: &Account, total: Option<u128>, skipped: Skipped, lines_skipped: u64) {
    terminal::note(equation(account, total));
    if total.is_none() {
        terminal::note("read as a stream: what it names twice was checked twice");
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
        (skipped.duplicates, "named more than once, and checked once"),
        (skipped.excluded, "excluded from the list"),
        (skipped.reserved, "left out: in networks that no host can have"),
        (lines_skipped.into(), "lines passed over"),
    ] {
        if count > 0 {
            let or_more = if count == u128::MAX { " or more" } else { "" };
            terminal::note(format!("{count}{or_more} {what}"));
        }
    }
    if account.found_on_retry > 0 {
        terminal::note(found_on_retry(account));
    }
    if let Some(fault) = account.last_fault {
        terminal::note(shortages(account, fault));
    }
}

/// How often this machine was short of something, what that came to, and what to do about it.
fn shortages(account: &Account, last: Fault) -> String {
    format!(
        "this machine was short of something {} times, last of {last} ({}); that let {} be in \
         flight, and {} at the end",
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
    }
}

/// Says with how much a run goes on, if it does.
pub(crate) fn say_resumed(settled: &Positions, total: Option<u128>) {
    if let Some(total) = total.filter(|_| !settled.is_empty()) {
        let left = total.saturating_sub(settled.len().into());
        terminal::note(format!("goes on with {left} of {total} targets"));
    }
}

/// Says how the workers fared: what went wrong, and what each did when that is asked for.
pub(crate) fn say_workers(workers: &WorkersReport, verbose: bool) {
    let all = workers.shares.len();
    if workers.ready < all {
        let late = all - workers.ready;
        terminal::note(format!("began without {late} of {all} workers, which were not ready"));
    }
    for (ending, count) in &workers.lost {
        terminal::note(format!("workers that ended before their time: {count} {ending}"));
    }
    if verbose && all > 1 {
        let shares: Vec<_> = workers.shares.iter().map(u64::to_string).collect();
        terminal::note(format!("attempts by worker: {}", shares.join(" ")));
    }
}

fn found_on_retry(account: &Account) -> String {
    let found = account.found_on_retry;
    match account.slowed {
        0 => format!("{found} found on a retry; if these are many, lower --rate"),
        times => format!("{found} found on a retry; slowed down {times} times: lower --rate"),
    }
}

/// The sum over all targets.
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

/// What the run came to, of `total` targets; `None`: of as many as came.
pub(crate) fn ending(account: &Account, total: Option<u128>) -> Ending {
    let ended = u128::from(account.settled() + account.excluded);
    let targets = match total {
        Some(total) => total + u128::from(account.more_addresses),
        None => account.targets.into(),
    };
    Ending { account: *account, targets: targets.max(ended), time: output::now() }
}

/// With a comma between thousands.
pub(crate) fn grouped(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let numbers = [0u32, 7, 999, 1_000, 65_024, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "7", "999", "1,000", "65,024", "1,234,567"]);
    }
}
