//! The progress of a run, or of several, on stderr.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use portmuster::{
    Account, Config, PortState, Service,
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
/// Terminals with fewer columns show a shorter line and no bar.
const NARROW: usize = 100;
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
            (_, true) => ProgressDisplay::Bar(bar(total.is_some(), is_narrow())),
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
                let line = Line { of_run, own, has_total: self.has_total, is_short: is_narrow() };
                bar.set_message(line.describe(&self.estimator));
            }
            ProgressDisplay::Lines { every, next } if own.elapsed >= *next => {
                *next = own.elapsed + *every;
                let line = Line { of_run, own, has_total: self.has_total, is_short: false };
                terminal::note(line.describe(&self.estimator));
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

/// Returns whether stderr is a terminal with few columns.
fn is_narrow() -> bool {
    terminal::stderr_width().is_some_and(|width| width < NARROW)
}

fn bar(has_total: bool, is_narrow: bool) -> ProgressBar {
    let (template, length) = match (has_total, is_narrow) {
        (true, false) => ("{bar:20} {wide_msg}", Some(100)),
        (true, true) => ("{wide_msg}", Some(100)),
        (false, _) => ("{spinner} {wide_msg}", None),
    };
    new_bar(template, length)
}

/// Creates a bar; its message is cut where the line of the terminal ends.
fn new_bar(template: &str, length: Option<u64>) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates are constant");
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(style);
    bar.enable_steady_tick(TICK);
    bar
}

/// Shows which of several runs is going on, if stderr is a terminal.
pub(crate) struct Steps(Option<ProgressBar>);

impl Steps {
    /// Starts to show this number of runs.
    pub(crate) fn start(count: u64) -> Self {
        let is_shown = io::stderr().is_terminal();
        Self(is_shown.then(|| new_bar("{pos} of {len}: {wide_msg}", Some(count))))
    }

    /// Begins the next run.
    pub(crate) fn begin(&self, what: impl Into<Cow<'static, str>>) {
        if let Self(Some(bar)) = self {
            bar.inc(1);
            bar.set_message(what);
        }
    }

    /// Hides the line while `write` writes to the terminal.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match self {
            Self(Some(bar)) => bar.suspend(write),
            Self(None) => write(),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Self(Some(bar)) = self {
            bar.finish_and_clear();
        }
    }
}

/// The progress in one line.
struct Line<'a> {
    /// The account of the run.
    of_run: &'a Account,
    /// The account of this process.
    own: &'a Account,
    /// Whether the number of targets is known.
    has_total: bool,
    /// Whether only the most important is shown.
    is_short: bool,
}

impl Line<'_> {
    fn describe(&self, estimator: &Estimator) -> String {
        let Self { of_run, own, .. } = self;
        let mut parts = vec![format!("{}/s", with_commas(estimator.rate())), self.open()];
        if !self.is_short {
            parts.push(format!("{} so far", describe_time(of_run.elapsed)));
        }
        if !self.has_total {
            let done = of_run.settled() + of_run.excluded;
            parts.insert(0, format!("{} done", with_commas(done)));
            return parts.join(", ");
        }
        let Estimate { pass, percent, left } = estimator.estimate(own);
        let done = match pass {
            None => "asking silent targets again".to_owned(),
            Some((_, 1)) => format!("{percent} %"),
            Some((pass, passes)) => format!("pass {pass} of {passes}, {percent} %"),
        };
        parts.insert(0, done);
        parts.push(describe_left(left, own.backlog));
        parts.join(", ")
    }

    /// Counts the open ports, and those with ssh and telnet.
    fn open(&self) -> String {
        let open = format!("{} open", with_commas(self.of_run.state(PortState::Open)));
        let counts = [Service::Ssh, Service::Telnet, Service::TelnetLikely]
            .map(|service| (self.of_run.service(service), service));
        let found: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, service)| format!("{} {service}", with_commas(*count)))
            .collect();
        if found.is_empty() { open } else { format!("{open} ({})", found.join(", ")) }
    }
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
        estimator.observe(&account);
        let line = |has_total, is_short| {
            Line { of_run: &account, own: &account, has_total, is_short }.describe(&estimator)
        };
        assert_eq!(line(false, false), "250 done, 100/s, 0 open, 3 s so far");
        let with_total = "pass 1 of 2, 25 %, 100/s, 0 open, 3 s so far, about 8 s left";
        assert_eq!(line(true, false), with_total);
        assert_eq!(line(true, true), "pass 1 of 2, 25 %, 100/s, 0 open, about 8 s left");
    }

    #[test]
    fn remaining_time_is_rounded_up_and_names_a_host_that_takes_longer() {
        let described = [0, 1, 12, 119, 120, 7100, 7201, 100_000]
            .map(|seconds| describe_time(Duration::from_secs(seconds)));
        assert_eq!(described, ["1 s", "1 s", "12 s", "119 s", "2 min", "119 min", "3 h", "28 h"]);
        assert_eq!(describe_left(Duration::from_millis(11_001), None), "about 12 s left");
    }
}
