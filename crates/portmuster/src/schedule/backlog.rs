//! The targets that wait for one host, each in as little memory as possible.
//!
//! When every port of a host is checked, and each attempt lasts until its deadline, tens of thousands
//! of targets wait for hours.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::{
    new_check::{Coverage, Endpoints, NewCheck},
    start::CheckId,
};
use crate::targets::Host;

/// The number of bits of a [`PlainTarget`] that hold the port.
const PORT_BITS: u32 = 16;
/// The first position that does not fit beside the port. At 100,000 targets per second a run takes 89
/// years to get there.
const POSITION_END: u64 = 1 << (u64::BITS - PORT_BITS);

/// The queue of one host: targets that have had an attempt first, then the others in order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    begun: VecDeque<CheckId>,
    fresh: VecDeque<NewCheck>,
    plain: VecDeque<PlainTarget>,
}

/// A waiting check.
#[derive(Debug)]
pub(super) enum Waiting {
    /// It has had an attempt or a fault of this machine, and stays in the schedule.
    Begun(CheckId),
    /// It has had no attempt; this is its whole state.
    New(NewCheck),
}

/// Port and position of a target that is the host's address, without a label.
#[derive(Debug, Clone, Copy)]
struct PlainTarget(u64);

impl PlainTarget {
    /// Packs a check, if this form holds its whole state.
    fn of(host: IpAddr, fresh: &NewCheck) -> Option<Self> {
        let NewCheck { target, position, endpoints, coverage } = fresh;
        let is_plain = *coverage == Coverage::Whole
            && *endpoints == Endpoints::Own
            && target.label.is_none()
            && target.host == Host::Address(host);
        (is_plain && *position < POSITION_END)
            .then(|| Self(position << PORT_BITS | u64::from(target.port)))
    }

    fn of_host(self, host: IpAddr) -> NewCheck {
        let port = u16::try_from(self.0 & u64::from(u16::MAX)).expect("it is masked");
        let endpoint = SocketAddr::new(host, port);
        let position = self.0 >> PORT_BITS;
        let (endpoints, coverage) = (Endpoints::Own, Coverage::Whole);
        NewCheck { target: endpoint.into(), position, endpoints, coverage }
    }
}

impl Backlog {
    /// Adds a check that has had an attempt.
    pub(super) fn push_begun(&mut self, id: CheckId) {
        self.begun.push_back(id);
    }

    /// Adds a check without an attempt.
    pub(super) fn push_new(&mut self, host: IpAddr, fresh: NewCheck) {
        match PlainTarget::of(host, &fresh) {
            Some(plain) => self.plain.push_back(plain),
            None => self.fresh.push_back(fresh),
        }
    }

    /// Removes the next check.
    pub(super) fn pop(&mut self, host: IpAddr) -> Option<Waiting> {
        if let Some(id) = self.begun.pop_front() {
            return Some(Waiting::Begun(id));
        }
        let plain = || self.plain.pop_front().map(|plain| plain.of_host(host));
        self.fresh.pop_front().or_else(plain).map(Waiting::New)
    }

    /// Returns the number of waiting checks.
    pub(super) fn len(&self) -> usize {
        self.begun.len() + self.fresh.len() + self.plain.len()
    }

    /// Returns whether no check waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Target;

    #[test]
    fn waiting_targets_are_small() {
        assert_eq!(size_of::<PlainTarget>(), 8);
        assert!(size_of::<NewCheck>() <= 80, "{}", size_of::<NewCheck>());
    }

    #[test]
    fn checks_survive_packing_and_unpacking() {
        let host = IpAddr::from([192, 0, 2, 1]);
        let endpoint = SocketAddr::new(host, 65_535);
        let one = |target: Target, position| NewCheck {
            target,
            position,
            endpoints: Endpoints::Own,
            coverage: Coverage::Whole,
        };
        let in_part = NewCheck { coverage: Coverage::Part, ..one(endpoint.into(), 3) };
        let mapped = SocketAddr::new("::ffff:192.0.2.1".parse().expect("an address"), 65_535);
        let mut backlog = Backlog::default();
        for (fresh, is_plain) in [
            (one(endpoint.into(), 0), true),
            (one(endpoint.into(), POSITION_END - 1), true),
            (one(endpoint.into(), POSITION_END), false),
            (one(mapped.into(), 1), false),
            (one(Target::from(("db.example", 65_535)), 2), false),
            (in_part, false),
        ] {
            let (target, coverage) = (fresh.target.clone(), fresh.coverage);
            let expected = NewCheck { target, coverage, ..one(endpoint.into(), fresh.position) };
            backlog.push_new(host, fresh);
            assert_eq!((backlog.len(), backlog.plain.len()), (1, usize::from(is_plain)));
            let Some(Waiting::New(waiting)) = backlog.pop(host) else { panic!("one waits") };
            assert_eq!(waiting, expected);
            assert!(backlog.is_empty());
        }
    }
}
