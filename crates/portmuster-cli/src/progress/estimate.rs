//! Estimates how far a run is and how long it will take, from its account at several times.
//!
//! A run makes the first attempts on its targets, retries those that did not answer, and then asks some
//! of them again. How many did not answer is estimated from the targets so far.

use std::{collections::VecDeque, time::Duration};

use portmuster::{Account, Config, PortState, config::Patience, outcome::Throttle};

/// The time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(5);
/// Targets whose attempts started this long ago, and that have not answered, rarely answer later. In the
/// first seconds it is an eighth of the time so far.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// The least time between the starts of two attempts on a target with adaptive patience.
const SPACING: Duration = Duration::from_secs(5);
/// How long the silent targets that are asked again take to start.
const SAMPLE_START: Duration = Duration::from_millis(500);

/// The settings of a run that decide how long it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) retries: u32,
    pub(super) timeout: Duration,
    /// The least time between the starts of two attempts on a target.
    pub(super) spacing: Duration,
    /// Whether silent targets are asked again at the end.
    pub(super) asks_again: bool,
}

/// Estimates the progress of one run.
#[derive(Debug)]
pub(super) struct Estimator {
    pace: Pace,
    /// The number of targets of this process.
    total: u64,
    /// The number of targets that earlier processes of the run have settled.
    before: u64,
    /// The run time, and how many attempts had started. Covers a little more than [`WINDOW`].
    samples: VecDeque<(Duration, u64)>,
    /// The highest rate so far.
    best_rate: u64,
    /// When the number of started attempts was first seen.
    last_start: (Duration, u64),
    /// When the first attempts on all targets were first seen to have started; `None`: they have not.
    first_pass_started: Option<Duration>,
    /// Since when silent targets have been asked again; `None`: they are not.
    asking_since: Option<Duration>,
}

/// The progress of a run at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Estimate {
    /// The current pass and the number of passes; `None`: silent targets are asked again.
    pub(super) pass: Option<(u32, u32)>,
    /// The share of attempts that have started, at most 99.
    pub(super) percent: u64,
    /// The remaining time.
    pub(super) left: Duration,
}

impl Pace {
    pub(super) fn of(config: &Config) -> Self {
        let (retries, timeout) = (config.retries(), config.timeout());
        let spacing = match config.patience() {
            Patience::Adaptive => SPACING,
            Patience::Full => Duration::ZERO,
        };
        Self { retries, timeout, spacing, asks_again: config.max_missed().is_some() && retries > 0 }
    }

    /// Returns how long the last retry starts after the first attempt on a target, from this pass on.
    fn until_last_start(&self, pass: u32, patience: Duration) -> Duration {
        self.spacing.max(patience) * (self.retries + 1).saturating_sub(pass)
    }
}

impl Estimator {
    /// Creates the estimator of a run over `total` targets, of which earlier processes have settled
    /// `before`.
    pub(super) fn new(pace: Pace, total: u64, before: u64) -> Self {
        Self {
            pace,
            total: total.saturating_sub(before),
            before,
            samples: VecDeque::from([(Duration::ZERO, 0)]),
            best_rate: 0,
            last_start: (Duration::ZERO, 0),
            first_pass_started: None,
            asking_since: None,
        }
    }

    /// Takes note of the account of this process.
    pub(super) fn observe(&mut self, account: &Account) {
        let (now, started) = (account.elapsed, account.passes.started);
        if started != self.last_start.1 {
            self.last_start = (now, started);
        }
        if started >= self.total + account.more_addresses {
            self.first_pass_started.get_or_insert(now);
        }
        self.samples.push_back((now, started));
        while self.samples.get(1).is_some_and(|&(time, _)| time + WINDOW <= now) {
            self.samples.pop_front();
        }
        self.best_rate = self.best_rate.max(self.rate());
        if account.passes.waiting > 0 {
            self.asking_since = None;
        } else if account.passes.is_asking_again {
            self.asking_since.get_or_insert(now);
        }
    }

    /// Returns how many attempts have started per second over the last seconds.
    pub(super) fn rate(&self) -> u64 {
        let ends = self.samples.front().zip(self.samples.back());
        let Some((&(from, before), &(to, now))) = ends else { return 0 };
        let milliseconds = to.saturating_sub(from).as_millis().max(1);
        let rate = u128::from(now.saturating_sub(before)) * 1000 / milliseconds;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Estimates the progress of the run whose latest account this is.
    pub(super) fn estimate(&self, account: &Account) -> Estimate {
        let total = self.total + account.more_addresses;
        let silent = self.silent(account, total);
        let started = account.passes.started;
        let pass = self.pass(started, total, silent);
        let is_last = pass > self.pace.retries && started > total;
        let expected = if is_last && account.passes.waiting == 0 {
            started
        } else {
            total + silent * u64::from(self.pace.retries)
        };
        let is_all_taken = account.targets >= total;
        if let Some(since) = self.asking_since.filter(|_| is_all_taken) {
            let asked_for = account.elapsed.saturating_sub(since);
            let left = (self.pace.timeout + SAMPLE_START).saturating_sub(asked_for);
            return Estimate { pass: None, percent: 99, left };
        }
        let percent = (self.before + started) * 100 / (self.before + expected).max(1);
        let left = self.left(account, pass, (total, silent, expected));
        Estimate { pass: Some((pass, self.pace.retries + 1)), percent: percent.min(99), left }
    }

    /// Returns how many targets of all will not have answered their first attempt.
    fn silent(&self, account: &Account, total: u64) -> u64 {
        let within = ANSWERS_WITHIN.min(account.elapsed / 8);
        let old = self.started_before(account.elapsed.saturating_sub(within));
        let old = old.min(account.targets).min(total);
        if old == 0 {
            return total;
        }
        let answered = (account.settled() + account.excluded)
            .saturating_sub(account.state(PortState::Filtered));
        let silent = old.saturating_sub(answered);
        let all = u128::from(total) * u128::from(silent) / u128::from(old);
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    fn started_before(&self, time: Duration) -> u64 {
        let earlier = self.samples.iter().rev().find(|&&(sampled, _)| sampled <= time);
        earlier.map_or(0, |&(_, started)| started)
    }

    /// Returns the pass to which the attempts that start now belong, from 1.
    fn pass(&self, started: u64, total: u64, silent: u64) -> u32 {
        if started < total || silent == 0 {
            return 1;
        }
        let retried = u32::try_from((started - total) / silent).unwrap_or(u32::MAX);
        retried.saturating_add(2).min(self.pace.retries + 1)
    }

    fn left(&self, account: &Account, pass: u32, counts: (u64, u64, u64)) -> Duration {
        let (total, silent, expected) = counts;
        let started = account.passes.started;
        let first_left = self.time_for(total.saturating_sub(started), account);
        let starts_left = self.time_for(expected.saturating_sub(started), account);
        if silent == 0 {
            return starts_left;
        }
        let patience = match account.passes.patience {
            Duration::ZERO => self.pace.timeout,
            patience => patience.min(self.pace.timeout),
        };
        let idle = account.elapsed.saturating_sub(self.last_start.0);
        // The retries have not begun.
        let pass = if started <= total { 1 } else { pass };
        let last_start = first_left + self.pace.until_last_start(pass, patience);
        let last_end = starts_left.max(last_start.saturating_sub(idle)) + patience;
        let last_end = if expected > started { last_end } else { last_end.saturating_sub(idle) };
        // Some of the first attempts wait for the whole timeout.
        let since = self.first_pass_started.map(|at| account.elapsed.saturating_sub(at));
        let sampled = (first_left + self.pace.timeout).saturating_sub(since.unwrap_or_default());
        let asked_again =
            if self.pace.asks_again { self.pace.timeout + SAMPLE_START } else { Duration::ZERO };
        last_end.max(sampled) + asked_again
    }

    /// Returns how long these attempts take to start.
    fn time_for(&self, attempts: u64, account: &Account) -> Duration {
        // While it waits for retries to be due, the rate is below what it will be.
        let is_waiting = account.throttle == Some(Throttle::Retries);
        let rate = if is_waiting { self.best_rate } else { self.rate() };
        let rate = if rate == 0 { self.best_rate } else { rate };
        let seconds = u128::from(attempts) * 1000 / u128::from(rate.max(1));
        Duration::from_millis(u64::try_from(seconds).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use portmuster::config::defaults;

    use super::*;

    const PACE: Pace =
        Pace { retries: 1, timeout: Duration::from_secs(10), spacing: SPACING, asks_again: true };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Returns the account after these milliseconds, when `started` attempts had started.
    fn account(milliseconds: u64, started: u64, targets: u64) -> Account {
        let mut account = Account::default();
        account.targets = targets;
        account.elapsed = Duration::from_millis(milliseconds);
        account.passes.started = started;
        account.passes.patience = defaults::PATIENCE;
        account
    }

    #[test]
    fn rate_is_that_of_the_last_seconds() {
        let mut estimator = Estimator::new(PACE, 1_000_000, 0);
        for second in 0..=20 {
            let started =
                if second <= 10 { second * 10_000 } else { 100_000 + (second - 10) * 500 };
            estimator.observe(&account(second * 1000, started, started));
        }
        assert_eq!((estimator.rate(), estimator.best_rate), (500, 10_000));
    }

    #[test]
    fn silent_targets_are_retried_and_asked_again() {
        let mut estimator = Estimator::new(PACE, 100_000, 0);
        for second in 0..=5 {
            estimator.observe(&account(second * 1000, second * 10_000, second * 10_000));
        }
        let now = account(5000, 50_000, 50_000);
        let estimate = estimator.estimate(&now);
        // 50,000 first attempts and 100,000 retries are left, then a wait, then the sample.
        assert_eq!((estimate.pass, estimate.percent), (Some((1, 2)), 25));
        assert_eq!(estimate.left, Duration::from_millis(15_000 + 3200 + 10_500));

        for second in 6..=15 {
            estimator.observe(&account(second * 1000, second * 10_000, 100_000));
        }
        let mut now = account(15_000, 150_000, 100_000);
        now.passes.waiting = 50_000;
        let estimate = estimator.estimate(&now);
        assert_eq!((estimate.pass, estimate.percent), (Some((2, 2)), 75));
        assert_eq!(estimate.left, Duration::from_millis(5000 + 3200 + 10_500));
    }

    #[test]
    fn tail_of_a_short_run_is_part_of_the_remaining_time() {
        let mut estimator = Estimator::new(PACE, 100, 0);
        for tick in 0..=10 {
            estimator.observe(&account(tick * 200, 100, 100));
        }
        let mut now = account(2000, 100, 100);
        now.passes.waiting = 100;
        now.throttle = Some(Throttle::Retries);
        let estimate = estimator.estimate(&now);
        assert_eq!((estimate.pass, estimate.percent), (Some((2, 2)), 50));
        // Those that wait for the whole timeout do so until 10 s.
        assert_eq!(estimate.left, Duration::from_millis(8000 + 10_500));

        (now.passes.is_asking_again, now.passes.waiting) = (true, 0);
        estimator.observe(&now);
        now.elapsed = seconds(5);
        estimator.observe(&now);
        let estimate = estimator.estimate(&now);
        assert_eq!((estimate.pass, estimate.left), (None, Duration::from_millis(7500)));
    }

    #[test]
    fn answers_leave_nothing_to_retry() {
        let pace = Pace { asks_again: false, ..PACE };
        let mut estimator = Estimator::new(pace, 1000, 400);
        for second in 0..=2 {
            estimator.observe(&account(second * 1000, second * 100, second * 100));
        }
        let mut now = account(2000, 200, 200);
        now.excluded = 200;
        let estimate = estimator.estimate(&now);
        assert_eq!(estimate, Estimate { pass: Some((1, 2)), percent: 60, left: seconds(4) });
    }

    #[test]
    fn remaining_time_includes_silent_targets_from_the_beginning() {
        let mut estimator = Estimator::new(PACE, 100, 0);
        estimator.observe(&account(200, 100, 100));
        let left = estimator.estimate(&account(200, 100, 100)).left;
        assert!(left >= seconds(20), "{left:?}");
    }

    #[test]
    fn full_patience_waits_for_the_timeout_in_each_pass() {
        let pace = Pace { retries: 2, spacing: Duration::ZERO, asks_again: false, ..PACE };
        assert_eq!(pace.until_last_start(1, seconds(10)), seconds(20));
        assert_eq!(PACE.until_last_start(1, defaults::PATIENCE), SPACING);
        assert_eq!(PACE.until_last_start(2, defaults::PATIENCE), Duration::ZERO);
    }
}
