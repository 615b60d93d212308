//! The state of an accepted connection, and its time limits.

use super::timer::Timer;
use crate::{
    clock::Instant,
    config::Limits,
    memory::Reservation,
    outcome::Evidence,
    probe::{Probe, ProbeStep},
};

/// The state of an accepted connection.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) accepted: Instant,
    pub(super) first_byte: Option<Instant>,
    pub(super) last_byte: Instant,
    /// When the server's silence began: at its last byte, or at the active step.
    pub(super) quiet_since: Instant,
    /// When the limits begin: at the accept, or later if this machine was delayed before the active
    /// step, so that the answer still gets its time.
    pub(super) since: Instant,
    /// Whether the active step was taken, or is not to be taken.
    pub(super) active_step_done: bool,
    /// Whether the server has paused after bytes that no rule recognises, so that it gets more time.
    pub(super) awaits_more: bool,
    pub(super) probe: Probe,
    pub(super) evidence: Option<Evidence>,
    /// Memory that the conversation holds from the shared pool.
    pub(super) held: Reservation,
}

impl Conversation {
    pub(super) fn bytes(&mut self, bytes: &[u8], now: Instant) -> ProbeStep {
        self.last_byte = now;
        self.quiet_since = now;
        self.awaits_more = false;
        self.first_byte.get_or_insert(now);
        self.probe.receive(bytes)
    }

    pub(super) fn active_step(&mut self, now: Instant) -> Vec<u8> {
        self.active_step_done = true;
        self.quiet_since = now;
        self.probe.active_step()
    }

    /// Returns whether the server has been sending for longer than the pause that ends a greeting, and
    /// still is. A greeting that came in one go, or has stopped, is judged even if a short deadline
    /// cut it off.
    pub(super) fn is_still_sending(&self, limits: &Limits, now: Instant) -> bool {
        self.first_byte.is_some_and(|first| self.last_byte.since(first) >= limits.quiet)
            && now.since(self.last_byte) < limits.quiet
    }

    pub(super) fn deadline(&self, limits: &Limits) -> (Timer, Instant) {
        let whole = (Timer::Conversation, self.since.after(limits.deadline));
        let first_byte = (Timer::FirstByte, self.since.after(limits.first_byte));
        let active_step = (Timer::ActiveStep, self.since.after(limits.active_step));
        let silence = match self.first_byte {
            // An ssh server gets as long for its KEXINIT as for a first byte.
            Some(_) if self.probe.is_in_ssh() => {
                (Timer::FirstByte, self.quiet_since.after(limits.first_byte))
            }
            Some(_) if self.awaits_more => {
                let patience = limits.first_byte.max(limits.quiet);
                (Timer::Unrecognised, self.quiet_since.after(patience))
            }
            Some(_) => (Timer::Quiet, self.quiet_since.after(limits.quiet)),
            None if self.active_step_done => first_byte,
            None => std::cmp::min_by_key(first_byte, active_step, |&(_, at)| at),
        };
        std::cmp::min_by_key(whole, silence, |&(_, at)| at)
    }
}
