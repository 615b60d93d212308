//! Postponed targets: their server closed the connection before it sent a byte, as an sshd does that
//! has no connection left. They are tried again after a pause.
//!
//! Invariant: no target is added to the run while [`WAITING_MAX`] wait, so only those in flight can
//! join them. A target that is an address without a label takes 64 bytes, so a network in which every
//! address closes early neither fills the memory nor stops the run.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::check::Check;
use crate::{
    clock::Instant,
    outcome::{Times, Verdict},
    targets::{Host, Target},
};

/// The number of waiting targets from which no more targets are added, unless little memory is free. At
/// the default rate of 10,000 connections per second at most 650,000 wait.
pub(super) const WAITING_MAX: usize = 1 << 20;

/// The shortest wait. Attempts on a target start so far apart that a burst of load or loss does not
/// affect both.
const PAUSE: Duration = Duration::from_secs(5);

/// The time between targets that were postponed at the same time.
const STEP: Duration = Duration::from_millis(60);

/// The number of different offsets: many targets are spread over a minute, few over a moment.
const STEPS: u32 = 1001;

/// Spreads events over time that would otherwise be due at the same moment.
#[derive(Debug, Default)]
pub(super) struct Spread {
    next: u32,
}

impl Spread {
    /// Returns the offset of the next event from the first of its wave: 0 to 60 s. `begins_wave`:
    /// nothing else waits.
    pub(super) fn offset(&mut self, begins_wave: bool) -> Duration {
        let place = if begins_wave { 0 } else { self.next };
        self.next = (place + 1) % STEPS;
        STEP * place
    }
}

/// The postponed targets, ordered by the time at which they are due.
#[derive(Debug)]
pub(super) struct Later {
    waiting_max: usize,
    waiting: BinaryHeap<Reverse<Entry>>,
    spread: Spread,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    check: Postponed,
}

/// A postponed check, in as little memory as possible.
#[derive(Debug)]
enum Postponed {
    Plain(PlainCheck),
    // Boxed: names, labels, evidence and earlier rounds are rare.
    Whole(Box<Check>),
}

/// A check of an address without a label that has had one attempt.
#[derive(Debug)]
struct PlainCheck {
    address: IpAddr,
    port: u16,
    attempts: u16,
    retries: u32,
    position: u64,
    connect: Option<Duration32>,
    total: Duration32,
}

/// A time in microseconds; saturates at 71 minutes.
#[derive(Debug, Clone, Copy)]
struct Duration32(u32);

impl Later {
    /// Creates an empty queue. `waiting` is how many waiting targets there is memory for.
    pub(super) fn new(waiting: usize) -> Self {
        Self {
            waiting_max: waiting.min(WAITING_MAX),
            waiting: BinaryHeap::new(),
            spread: Spread::default(),
        }
    }

    /// Returns whether no more targets should be added until some were tried again.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.waiting_max
    }

    /// Returns whether no target waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns when the first target is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse(entry)| entry.due)
    }

    /// Adds a check.
    pub(super) fn push(&mut self, check: Check, now: Instant) {
        let offset = self.spread.offset(self.waiting.is_empty());
        let due = now.after(PAUSE + offset);
        self.waiting.push(Reverse(Entry { due, check: Postponed::from(check) }));
    }

    /// Removes a check that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Check> {
        if self.next_due()? > now {
            return None;
        }
        self.pop()
    }

    /// Removes the next check, due or not.
    pub(super) fn pop(&mut self) -> Option<Check> {
        self.waiting.pop().map(|Reverse(entry)| entry.check.into())
    }
}

impl Entry {
    fn key(&self) -> (Instant, u64) {
        let position = match &self.check {
            Postponed::Plain(plain) => plain.position,
            Postponed::Whole(check) => check.position(),
        };
        (self.due, position)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl From<Check> for Postponed {
    fn from(check: Check) -> Self {
        PlainCheck::of(&check).map_or_else(|| Self::Whole(Box::new(check)), Self::Plain)
    }
}

impl From<Postponed> for Check {
    fn from(postponed: Postponed) -> Self {
        match postponed {
            Postponed::Plain(plain) => plain.into_check(),
            Postponed::Whole(check) => *check,
        }
    }
}

impl PlainCheck {
    fn of(check: &Check) -> Option<Self> {
        let (&Host::Address(address), None) = (&check.target().host, &check.target().label) else {
            return None;
        };
        let (retries, times) = check.only_hung_up()?;
        Some(Self {
            address,
            port: check.target().port,
            attempts: u16::try_from(check.attempts()).ok()?,
            retries,
            position: check.position(),
            connect: times.connect.map(Duration32::from),
            total: times.total.into(),
        })
    }

    fn into_check(self) -> Check {
        let endpoint = SocketAddr::new(self.address, self.port);
        let times = Times {
            connect: self.connect.map(Duration::from),
            first_byte: None,
            total: self.total.into(),
        };
        let check = Check::new(Target::from(endpoint), self.position, self.retries);
        check.after_hang_up(endpoint, self.attempts.into(), Verdict::hung_up(times))
    }
}

impl From<Duration> for Duration32 {
    fn from(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX))
    }
}

impl From<Duration32> for Duration {
    fn from(duration: Duration32) -> Self {
        Self::from_micros(duration.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_is_small() {
        assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
    }

    #[test]
    fn wave_is_spread_over_a_minute() {
        let mut spread = Spread::default();
        let offsets: Vec<_> = (0..2000).map(|place| spread.offset(place == 0)).collect();
        assert_eq!(offsets[0], Duration::ZERO);
        assert_eq!(offsets[15], Duration::from_millis(900));
        assert_eq!(offsets.iter().max(), Some(&Duration::from_mins(1)));
        for second in 0..60 {
            let within = |offset: &&Duration| offset.as_secs() == second;
            assert!((30..=36).contains(&offsets.iter().filter(within).count()), "in {second}");
        }
        assert_eq!(spread.offset(true), Duration::ZERO);
    }
}
