//! The progress of a run on stderr.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use portmuster::{
    Account, Config, PortState,
    outcome::{HostBacklog, Throttle},
};

mod estimate;

use self::estimate::{Estimate, Estimator, Pace};
use crate::{
    args::{Check, ShowProgress},
    numbers::with_commas,
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
    estimator: Estimator,
    /// Whether the number of targets is known: none comes from a stream.
    has_total: bool,
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
    /// Starts to show the progress of a run with this configuration over `total` targets, of which
    /// earlier processes have settled `settled`. `total` is `None` if some come from a stream.
    pub(crate) fn start(check: &Check, config: &Config, total: Option<u128>, settled: u64) -> Self {
        let show = if check.quiet { ShowProgress::Never } else { check.progress };
        let lines = |every| ProgressDisplay::Lines { every, next: every };
        let display = match (show, io::stderr().is_terminal()) {
            (ShowProgress::Never, _) => ProgressDisplay::Hidden,
            (ShowProgress::Auto, false) => lines(LOG_EVERY),
            (ShowProgress::Always, false) => lines(LINE_EVERY),
            (_, true) => ProgressDisplay::Bar(bar(total.is_some())),
        };
        let targets = u64::try_from(total.unwrap_or_default()).unwrap_or(u64::MAX);
        Self {
            display,
            estimator: Estimator::new(Pace::of(config), targets, settled),
            has_total: total.is_some(),
            throttle: check.verbose.then(ThrottleLog::default),
        }
    }

    /// Shows the account so far. `of_run` includes earlier processes, and `own` is that of this one.
    pub(crate) fn update(&mut self, of_run: &Account, own: &Account) {
        self.estimator.observe(own);
        match &mut self.display {
            ProgressDisplay::Bar(bar) => {
                if self.has_total {
                    bar.set_position(self.estimator.estimate(own).percent);
                }
                bar.set_message(line(&self.estimator, of_run, own, self.has_total));
            }
            ProgressDisplay::Lines { every, next } if own.elapsed >= *next => {
                *next = own.elapsed + *every;
                terminal::note(line(&self.estimator, of_run, own, self.has_total));
            }
            ProgressDisplay::Lines { .. } | ProgressDisplay::Hidden => {}
        }
        if let Some(throttle) = self.throttle.as_mut().and_then(|log| log.next_message(own)) {
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

fn bar(has_total: bool) -> ProgressBar {
    let (template, length) = if has_total {
        ("{bar:24} {msg}", Some(100))
    } else {
        ("{spinner} {msg}, {elapsed}", None)
    };
    let style = ProgressStyle::with_template(template).expect("the templates are constant");
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(style);
    bar.enable_steady_tick(TICK);
    bar
}

/// Describes the progress in one line.
fn line(estimator: &Estimator, of_run: &Account, own: &Account, has_total: bool) -> String {
    let rate = format!("{}/s", with_commas(estimator.rate()));
    let open = format!("{} open", with_commas(of_run.state(PortState::Open)));
    if !has_total {
        let done = of_run.settled() + of_run.excluded;
        return format!("{} done, {rate}, {open}", with_commas(done));
    }
    let Estimate { pass, percent, left } = estimator.estimate(own);
    let done = match pass {
        None => "asking silent targets again".to_owned(),
        Some((_, 1)) => format!("{percent} %"),
        Some((pass, passes)) => format!("pass {pass} of {passes}, {percent} %"),
    };
    format!("{done}, {rate}, {open}, {}", describe_left(left, own.backlog))
}

/// Describes the remaining time: the estimate or, if that takes longer, until the host with the
/// longest queue is done.
fn describe_left(left: Duration, backlog: Option<HostBacklog>) -> String {
    let slow =
        backlog.filter(|slow| slow.longest_remaining.is_none_or(|remaining| remaining > left));
    let Some(HostBacklog { longest, longest_targets, longest_remaining, .. }) = slow else {
        return format!("about {} left", describe_time(left));
    };
    let time = longest_remaining.map_or("unknown time".to_owned(), describe_time);
    let targets = with_commas(longest_targets as u64);
    format!("about {time} left for {longest} ({targets} wait)")
}

/// Formats a time in its largest unit of which there are at least two, rounded up.
fn describe_time(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..120 => format!("{} s", seconds.max(1)),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
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
    fn line_shows_pass_share_rate_open_and_remaining_time() {
        let pace = Pace::of(&Config::default());
        let mut estimator = Estimator::new(pace, 1000, 0);
        let mut earlier = Account::default();
        (earlier.elapsed, earlier.passes.started) = (Duration::from_secs(1), 100);
        estimator.observe(&earlier);
        let mut account = Account::default();
        (account.targets, account.excluded) = (250, 250);
        (account.elapsed, account.passes.started) = (Duration::from_millis(2_500), 250);
        let line =
            |estimator: &Estimator, has_total| line(estimator, &account, &account, has_total);
        estimator.observe(&account);
        assert_eq!(line(&estimator, false), "250 done, 100/s, 0 open");
        let with_total = "pass 1 of 2, 25 %, 100/s, 0 open, about 8 s left";
        assert_eq!(line(&estimator, true), with_total);
    }

    #[test]
    fn remaining_time_is_rounded_up_and_names_a_host_that_takes_longer() {
        let described = [0, 1, 12, 119, 120, 7100, 7201, 100_000]
            .map(|seconds| describe_time(Duration::from_secs(seconds)));
        assert_eq!(described, ["1 s", "1 s", "12 s", "119 s", "2 min", "119 min", "3 h", "28 h"]);
        assert_eq!(describe_left(Duration::from_millis(11_001), None), "about 12 s left");
    }
}
