//! How far a run is, on stderr.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use portmuster::{Account, HostBacklog, PortState, Throttle};

use crate::{
    args::{Check, ShowProgress},
    terminal,
};

/// Between two redraws of the line.
const TICK: Duration = Duration::from_millis(200);
/// Between two lines where there is no terminal: asked for, and unasked.
const LINE_EVERY: Duration = Duration::from_secs(1);
const LOG_EVERY: Duration = Duration::from_mins(1);
/// Between two words on what holds the run back.
const HELD_EVERY: Duration = Duration::from_secs(1);

/// Shows how far the run is, and what holds it back.
pub(crate) struct Progress {
    show: Shown,
    total: Option<u64>,
    /// `None`: it is not said.
    held: Option<Held>,
}

enum Shown {
    Bar(ProgressBar),
    Lines { every: Duration, next: Duration },
    Hidden,
}

#[derive(Default)]
struct Held {
    said: Option<Throttle>,
    next: Duration,
}

impl Progress {
    /// For a run of so many targets; `None`: as many as come.
    pub(crate) fn start(check: &Check, total: Option<u128>) -> Self {
        let show = if check.quiet { ShowProgress::Never } else { check.progress };
        let total = total.map(|total| u64::try_from(total).unwrap_or(u64::MAX));
        let lines = |every| Shown::Lines { every, next: every };
        let show = match (show, io::stderr().is_terminal()) {
            (ShowProgress::Never, _) => Shown::Hidden,
            (ShowProgress::Auto, false) => lines(LOG_EVERY),
            (ShowProgress::Always, false) => lines(LINE_EVERY),
            (_, true) => Shown::Bar(bar(total)),
        };
        Self { show, total, held: check.verbose.then(Held::default) }
    }

    /// Takes the sum so far.
    pub(crate) fn update(&mut self, account: &Account) {
        let settled = account.settled() + account.excluded;
        let open = account.state(PortState::Open);
        match &mut self.show {
            Shown::Bar(bar) => {
                bar.set_position(settled);
                let rate = rate(settled, account.elapsed);
                let left = self.total.map(|_| left(bar.eta(), account.backlog));
                let left = left.map_or(String::new(), |left| format!("  {left}"));
                bar.set_message(format!("{rate}/s  {open} open{left}"));
            }
            Shown::Lines { every, next } if account.elapsed >= *next => {
                *next = account.elapsed + *every;
                terminal::note(line(account, self.total));
            }
            Shown::Lines { .. } | Shown::Hidden => {}
        }
        if let Some(throttle) = self.held.as_mut().and_then(|held| held.news(account)) {
            self.aside(|| terminal::note(format!("held back by {throttle}")));
        }
    }

    /// Takes the line away while something else is written to the terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.show {
            Shown::Bar(bar) => bar.suspend(write),
            Shown::Lines { .. } | Shown::Hidden => write(),
        }
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        if let Shown::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}

impl Held {
    /// What holds the run back, when that is another thing than was last said.
    fn news(&mut self, account: &Account) -> Option<Throttle> {
        let throttle = account.throttle?;
        if self.said == Some(throttle) || account.elapsed < self.next {
            return None;
        }
        *self = Self { said: Some(throttle), next: account.elapsed + HELD_EVERY };
        Some(throttle)
    }
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

/// Targets a second.
fn rate(settled: u64, elapsed: Duration) -> u128 {
    u128::from(settled) * 1000 / elapsed.as_millis().max(1)
}

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

/// How long the run still takes: at its pace, or until the host is done that most targets wait for,
/// if that takes longer.
fn left(at_this_pace: Duration, backlog: Option<HostBacklog>) -> String {
    let slow = backlog.filter(|backlog| {
        backlog.longest_remaining.is_none_or(|remaining| remaining > at_this_pace)
    });
    let time = slow.map_or(Some(at_this_pace), |slow| slow.longest_remaining);
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
    fn a_line_tells_done_rate_open_and_left() {
        let mut account = Account::default();
        (account.elapsed, account.excluded) = (Duration::from_millis(2_500), 250);
        assert_eq!(line(&account, None), "250 done, 100/s, 0 open");
        assert_eq!(line(&account, Some(1000)), "250/1000 done, 100/s, 0 open, 7s left");
        assert_eq!(line(&Account::default(), None), "0 done, 0/s, 0 open");
    }
}
