//! How far a run is, on stderr.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use portmuster::{Account, PortState};

use crate::{args::ShowProgress, terminal};

/// Between two redraws of the line, or two lines where there is no terminal.
const TICK: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Shows how far the run is, or does not.
pub(crate) enum Progress {
    Bar(ProgressBar),
    Lines { total: Option<u64>, next: Duration },
    Hidden,
}

impl Progress {
    /// For a run of so many targets; `None`: as many as come.
    pub(crate) fn start(show: ShowProgress, total: Option<u128>) -> Self {
        let total = total.map(|total| u64::try_from(total).unwrap_or(u64::MAX));
        match (show, io::stderr().is_terminal()) {
            (ShowProgress::Never, _) | (ShowProgress::Auto, false) => Self::Hidden,
            (ShowProgress::Always, false) => Self::Lines { total, next: LINE_EVERY },
            (_, true) => Self::Bar(bar(total)),
        }
    }

    /// Takes the sum so far.
    pub(crate) fn update(&mut self, account: &Account) {
        let (settled, open) = (account.settled(), account.state(PortState::Open));
        match self {
            Self::Bar(bar) => {
                bar.set_position(settled);
                bar.set_message(format!("{open} open"));
            }
            Self::Lines { total, next } if account.elapsed >= *next => {
                *next = account.elapsed + LINE_EVERY;
                terminal::note(line(settled, *total, open, account.elapsed));
            }
            Self::Lines { .. } | Self::Hidden => {}
        }
    }

    /// Takes the line away while something else is written to the terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match self {
            Self::Bar(bar) => bar.suspend(write),
            Self::Lines { .. } | Self::Hidden => write(),
        }
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:24} {human_pos}/{human_len}  {per_sec}  {msg}  {eta} left",
        None => "{spinner} {human_pos}  {per_sec}  {msg}  {elapsed}",
    };
    let style = ProgressStyle::with_template(template).expect("the templates are constant");
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(style);
    bar.enable_steady_tick(TICK);
    bar
}

fn line(settled: u64, total: Option<u64>, open: u64, elapsed: Duration) -> String {
    let rate = u128::from(settled) * 1000 / elapsed.as_millis().max(1);
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
