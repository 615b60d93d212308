//! The progress of a run on stderr.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use portmuster::{
    Account, PortState,
    outcome::{HostBacklog, Throttle},
};

use crate::{
    args::{Check, ShowProgress},
    terminal,
};

/// Time between two redraws of the progress bar.
const TICK: Duration = Duration::from_millis(200);
/// Time between two lines if stderr is no terminal, with `--progress always`.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Time between two lines if stderr is no terminal, with `--progress auto`.
const LOG_EVERY: Duration = Duration::from_mins(1);
/// Minimum time between two messages about the throttle.
const THROTTLE_EVERY: Duration = Duration::from_secs(1);

/// Shows the progress of a run and, with `--verbose`, what limits its speed.
pub(crate) struct Progress {
    display: ProgressDisplay,
    /// The number of targets; `None`: some come from a stream.
    total: Option<u64>,
    /// `None`: without `--verbose`.
    throttle: Option<ThrottleLog>,
}

/// How progress is shown.
enum ProgressDisplay {
    Bar(ProgressBar),
    Lines { every: Duration, next: Duration },
    Hidden,
}

/// The last message about the throttle, and the earliest time of the next.
#[derive(Default)]
struct ThrottleLog {
    last: Option<Throttle>,
    next: Duration,
}

impl Progress {
    /// Starts to show the progress of `total` targets; `None`: some come from a stream.
    pub(crate) fn start(check: &Check, total: Option<u128>) -> Self {
        let show = if check.quiet { ShowProgress::Never } else { check.progress };
        let total = total.map(|total| u64::try_from(total).unwrap_or(u64::MAX));
        let lines = |every| ProgressDisplay::Lines { every, next: every };
        let display = match (show, io::stderr().is_terminal()) {
            (ShowProgress::Never, _) => ProgressDisplay::Hidden,
            (ShowProgress::Auto, false) => lines(LOG_EVERY),
            (ShowProgress::Always, false) => lines(LINE_EVERY),
            (_, true) => ProgressDisplay::Bar(bar(total)),
        };
        Self { display, total, throttle: check.verbose.then(ThrottleLog::default) }
    }

    /// Shows the account so far.
    pub(crate) fn update(&mut self, account: &Account) {
        let settled = account.settled() + account.excluded;
        let open = account.state(PortState::Open);
        match &mut self.display {
            ProgressDisplay::Bar(bar) => {
                bar.set_position(settled);
                let rate = rate(settled, account.elapsed);
                let left = self.total.map(|_| left(bar.eta(), account.backlog));
                let left = left.map_or(String::new(), |left| format!("  {left}"));
                bar.set_message(format!("{rate}/s  {open} open{left}"));
            }
            ProgressDisplay::Lines { every, next } if account.elapsed >= *next => {
                *next = account.elapsed + *every;
                terminal::note(line(account, self.total));
            }
            ProgressDisplay::Lines { .. } | ProgressDisplay::Hidden => {}
        }
        if let Some(throttle) = self.throttle.as_mut().and_then(|log| log.next_message(account)) {
            self.suspend(|| terminal::note(format!("speed limited by {}", describe(throttle))));
        }
    }

    /// Hides the progress bar while `write` writes to the terminal.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.display {
            ProgressDisplay::Bar(bar) => bar.suspend(write),
            ProgressDisplay::Lines { .. } | ProgressDisplay::Hidden => write(),
        }
    }

    /// Removes the progress bar.
    pub(crate) fn finish(&self) {
        if let ProgressDisplay::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

impl ThrottleLog {
    /// Returns the throttle if it differs from the last message and a new message is due.
    fn next_message(&mut self, account: &Account) -> Option<Throttle> {
        let throttle = account.throttle?;
        if self.last == Some(throttle) || account.elapsed < self.next {
            return None;
        }
        *self = Self { last: Some(throttle), next: account.elapsed + THROTTLE_EVERY };
        Some(throttle)
    }
}

/// Names a throttle with the option that sets it.
fn describe(throttle: Throttle) -> String {
    let options = match throttle {
        Throttle::Rate => " (--rate)",
        Throttle::InFlight => " (--in-flight, or descriptors)",
        Throttle::PerHost => " (--per-host)",
        _ => "",
    };
    format!("{throttle}{options}")
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:24} {human_pos}/{human_len}  {msg}",
        None => "{spinner} {human_pos}  {msg}  {elapsed}",
    };
    let style = ProgressStyle::with_template(template).expect("the templates are constant");
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(style);
    bar.enable_steady_tick(TICK);
    bar
}

/// Returns the number of targets per second.
fn rate(settled: u64, elapsed: Duration) -> u128 {
    u128::from(settled) * 1000 / elapsed.as_millis().max(1)
}

/// Formats progress as a line.
fn line(account: &Account, total: Option<u64>) -> String {
    let settled = account.settled() + account.excluded;
    let (rate, open) = (rate(settled, account.elapsed), account.state(PortState::Open));
    let Some(total) = total else {
        return format!("{settled} done, {rate}/s, {open} open");
    };
    let seconds = u128::from(total.saturating_sub(settled)) / rate.max(1);
    let eta = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
    let left = left(eta, account.backlog);
    format!("{settled}/{total} done, {rate}/s, {open} open, {left}")
}

/// Describes the remaining time: at the current rate or, if that takes longer, until the host with
/// the longest queue is done.
fn left(at_current_rate: Duration, backlog: Option<HostBacklog>) -> String {
    let slow = backlog.filter(|backlog| {
        backlog.longest_remaining.is_none_or(|remaining| remaining > at_current_rate)
    });
    let time = slow.map_or(Some(at_current_rate), |slow| slow.longest_remaining);
    let time = time.map_or("?".to_owned(), |time| format!("{:#}", HumanDuration(time)));
    match slow {
        None => format!("{time} left"),
        Some(HostBacklog { longest, longest_targets, .. }) => {
            let targets = HumanCount(longest_targets as u64);
            format!("{time} left for {longest} ({targets} wait)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttles_are_named_with_their_options() {
        assert_eq!(describe(Throttle::Rate), "the connection rate (--rate)");
        assert_eq!(
            describe(Throttle::InFlight),
            "the limit of connections in flight (--in-flight, or descriptors)"
        );
        assert_eq!(describe(Throttle::PerHost), "the limit per host (--per-host)");
        assert_eq!(describe(Throttle::Loss), "packet loss");
    }

    #[test]
    fn line_shows_done_rate_open_and_remaining_time() {
        let mut account = Account::default();
        (account.elapsed, account.excluded) = (Duration::from_millis(2_500), 250);
        assert_eq!(line(&account, None), "250 done, 100/s, 0 open");
        assert_eq!(line(&account, Some(1000)), "250/1000 done, 100/s, 0 open, 7s left");
        assert_eq!(line(&Account::default(), None), "0 done, 0/s, 0 open");
    }
}
