//! The loop of one run: it moves work between a schedule and its environment.
//!
//! The loop decides nothing and owns no thread, socket or clock. In a real run the environment is
//! the [coordinator](crate::coordinator)'s threads and queues, in a simulated one a network in
//! virtual time, so both runs take the same turns.

use crate::{
    clock::Instant,
    input::NextInput,
    schedule::{Lookup, Question, Report, Schedule, Start},
    targets::Target,
};

/// What a run loop works with: workers, a resolver, an input, a consumer and time.
pub(crate) trait Environment {
    /// Returns the current time.
    fn now(&self) -> Instant;

    /// Returns whether the run was asked to stop since the last call.
    fn take_stop(&mut self, now: Instant) -> bool;

    /// Returns attempts that have ended; `None` when all that have were returned. May be empty.
    fn take_reports(&mut self) -> Option<Vec<Report>>;

    /// Returns a lookup that has ended; `None` when all that have were returned.
    fn take_lookup(&mut self, now: Instant) -> Option<(Question, Lookup)>;

    /// Returns the next target, if it is there.
    fn take_target(&mut self) -> NextInput<Target>;

    /// Returns how many attempts may be open at the moment.
    fn capacity(&self) -> usize;

    /// Returns how many attempts are handed over and not yet begun.
    fn queued(&self) -> usize;

    /// Returns how many more attempts may be handed over before some of those are begun.
    fn backlog_room(&self) -> usize;

    /// Hands an attempt over. It begins with the next [`Self::flush`].
    fn begin(&mut self, start: Start);

    /// Sends on what was handed over.
    fn flush(&mut self);

    /// Returns whether one more lookup may be asked for.
    fn can_look_up(&self) -> bool;

    /// Asks for a lookup.
    fn look_up(&mut self, question: Question, now: Instant);

    /// Hands outcomes to the consumer. Returns false when nobody wants them.
    fn hand_out(&mut self, schedule: &mut Schedule) -> bool;

    /// Waits until something has happened or the schedule is to be asked again.
    fn wait(&mut self, schedule: &Schedule);
}

/// A schedule and its environment.
pub(crate) struct RunLoop<E> {
    pub(crate) schedule: Schedule,
    pub(crate) environment: E,
}

impl<E: Environment> RunLoop<E> {
    /// Deals with all that has happened, starts what may start, and waits for more. Returns false
    /// when nobody wants the outcomes.
    pub(crate) fn turn(&mut self) -> bool {
        let now = self.environment.now();
        self.take_stop(now);
        self.take_reports(now);
        self.take_lookups(now);
        self.take_targets(now);
        self.schedule.set_capacity(self.environment.capacity());
        self.begin_attempts(now);
        self.begin_lookups(now);
        let is_wanted = self.environment.hand_out(&mut self.schedule);
        if is_wanted && !self.schedule.is_finished() {
            self.environment.wait(&self.schedule);
        }
        is_wanted
    }

    /// Stops the schedule if the run was asked to stop.
    pub(crate) fn take_stop(&mut self, now: Instant) {
        if self.environment.take_stop(now) {
            self.schedule.stop(now);
        }
    }

    fn take_reports(&mut self, now: Instant) {
        while let Some(reports) = self.environment.take_reports() {
            self.schedule.set_queued(self.environment.queued());
            for report in reports {
                self.schedule.settle(report, now);
            }
        }
    }

    fn take_lookups(&mut self, now: Instant) {
        while let Some((question, lookup)) = self.environment.take_lookup(now) {
            self.schedule.lookup_ended(&question, lookup, now);
        }
    }

    fn take_targets(&mut self, now: Instant) {
        while self.schedule.has_room() {
            match self.environment.take_target() {
                NextInput::Item(target) => self.schedule.add(target, now),
                NextInput::Pending => break,
                NextInput::Ended => self.schedule.input_ended(),
            }
        }
    }

    fn begin_attempts(&mut self, now: Instant) {
        while self.environment.backlog_room() > 0
            && let Some(start) = self.schedule.next_start(now)
        {
            self.environment.begin(start);
        }
        self.environment.flush();
        self.schedule.set_backlogged(self.environment.backlog_room() == 0);
    }

    fn begin_lookups(&mut self, now: Instant) {
        while self.environment.can_look_up()
            && let Some(question) = self.schedule.wanted_lookup(now).cloned()
        {
            self.environment.look_up(question, now);
            self.schedule.lookup_began();
        }
    }
}
