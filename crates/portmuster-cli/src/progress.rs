//! How far a run is, on stderr.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use portmuster::{Account, HeldBy, PortState};

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
    said: Option<HeldBy>,
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
                bar.set_message(format!("{rate}/s  {open} open"));
            }
            Shown::Lines { every, next } if account.elapsed >= *next => {
                *next = account.elapsed + *every;
                terminal::note(line(settled, self.total, open, account.elapsed));
            }
            Shown::Lines { .. } | Shown::Hidden => {}
        }
        if let Some(held_by) = self.held.as_mut().and_then(|held| held.news(account)) {
            self.aside(|| terminal::note(format!("held back by {held_by}")));
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
    fn news(&mut self, account: &Account) -> Option<HeldBy> {
        let held_by = account.held_by?;
        if self.said == Some(held_by) || account.elapsed < self.next {
            return None;
        }
        *self = Self { said: Some(held_by), next: account.elapsed + HELD_EVERY };
        Some(held_by)
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:24} {human_pos}/{human_len}  {msg}  {eta} left",
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

fn line(settled: u64, total: Option<u64>, open: u64, elapsed: Duration) -> String {
    let rate = rate(settled, elapsed);
    match total {
        None => format!("{settled} done, {rate}/s, {open} open"),
        Some(total) => {
            let left = u128::from(total.saturating_sub(settled)) / rate.max(1);
            format!("{settled}/{total} done, {rate}/s, {open} open, {left} s left")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_done_rate_open_and_left() {
        let elapsed = Duration::from_millis(2_500);
        assert_eq!(line(0, None, 0, Duration::ZERO), "0 done, 0/s, 0 open");
        assert_eq!(line(250, Some(1000), 3, elapsed), "250/1000 done, 100/s, 3 open, 7 s left");
    }
}
