//! The loop of one run: it moves work between the schedule and an environment.
//!
//! The loop makes no decisions and owns no thread, socket or clock. In a real run the environment
//! is the threads and queues of the [coordinator](crate::coordinator). In a simulated run it is a
//! network in virtual time. Both runs execute this same loop.

use crate::{
    clock::Instant,
    input::NextInput,
    schedule::{Lookup, Question, Report, Schedule, Start},
    targets::Target,
};

/// The world around a run loop: executor, resolver, input, consumer and clock.
pub(crate) trait Environment {
    /// Returns the current time.
    fn now(&self) -> Instant;

    /// Returns whether a request to stop has arrived since the last call.
    fn take_stop(&mut self, now: Instant) -> bool;

    /// Returns the next reports of ended attempts, which may be empty; `None` when none are left.
    fn take_reports(&mut self) -> Option<Vec<Report>>;

    /// Returns the next lookup that has ended; `None` when none is left.
    fn take_lookup(&mut self, now: Instant) -> Option<(Question, Lookup)>;

    /// Returns the next target if it is available. Never blocks.
    fn take_target(&mut self) -> NextInput<Target>;

    /// Returns how many attempts may be handed over and not reported at the moment.
    fn capacity(&self) -> usize;

    /// Returns how many attempts are queued at the executor and not begun.
    fn queued(&self) -> usize;

    /// Returns how many more attempts may be queued.
    fn backlog_room(&self) -> usize;

    /// Passes an attempt to the executor. The executor gets it with the next [`Self::flush`].
    fn begin(&mut self, start: Start);

    /// Sends all attempts that [`Self::begin`] took to the workers.
    fn flush(&mut self);

    /// Returns whether the resolver has capacity for one more lookup.
    fn can_look_up(&self) -> bool;

    /// Starts a lookup.
    fn look_up(&mut self, question: &Question, now: Instant);

    /// Passes outcomes to the consumer. Returns false when the consumer has gone.
    fn hand_out(&mut self, schedule: &mut Schedule) -> bool;

    /// Waits for an event or the schedule's next timeout.
    fn wait(&mut self, schedule: &Schedule);
}

/// Runs a schedule in an environment.
pub(crate) struct RunLoop<E> {
    pub(crate) schedule: Schedule,
    pub(crate) environment: E,
}

impl<E: Environment> RunLoop<E> {
    /// Handles all events, starts the attempts and lookups that may start, and waits for the next
    /// event. Returns false when the consumer has gone.
    pub(crate) fn turn(&mut self) -> bool {
        let now = self.environment.now();
        self.take_stop(now);
        self.take_reports(now);
        self.take_lookups(now);
        self.take_targets(now);
        self.schedule.set_capacity(self.environment.capacity());
        self.begin_attempts(now);
        self.begin_lookups(now);
        let has_consumer = self.environment.hand_out(&mut self.schedule);
        if has_consumer && !self.schedule.is_finished() {
            self.environment.wait(&self.schedule);
        }
        has_consumer
    }

    /// Stops the schedule if a request to stop has arrived.
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
            && let Some(question) = self.schedule.wanted_lookup(now)
        {
            self.environment.look_up(question, now);
            self.schedule.lookup_began();
        }
    }
}
