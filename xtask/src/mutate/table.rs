//! The mutations, in the order of the stages that they break.

use super::{
    Mutation,
    Test::{Simulated, Unit},
};

const TROUBLE: &str = "under_trouble_of_every_kind_every_verdict_is_right_and_every_limit_holds";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "shards-overlap",
        why: "a shard that begins one further leaves out the first and takes another's",
        file: "crates/portmuster/src/targets/set.rs",
        old: "position: u128::from(shard.part - 1), shard }",
        new: "position: u128::from(shard.part), shard }",
        caught_by: Unit("targets::set::tests::shards_are_disjoint_and_cover"),
    },
    Mutation {
        name: "settled-with-its-first-address",
        why: "a name is settled while some of its addresses are not: a run that goes on lacks them",
        file: "crates/portmuster/src/positions.rs",
        old: "if *outcomes > 0 {",
        new: "if false {",
        caught_by: Unit("positions::tests::a_position_is_settled_with_the_last_of_its_outcomes"),
    },
    Mutation {
        name: "late-chunk-forgotten",
        why: "a position that is late counts as settled as soon as those behind it are",
        file: "crates/portmuster/src/positions.rs",
        old: "*bits == [u64::MAX; WORDS]",
        new: "bits[0] != 1",
        caught_by: Unit("positions::tests::it_is_a_set"),
    },
    Mutation {
        name: "order-with-repeats",
        why: "a round that drops its left half can't be undone, so two positions share a place",
        file: "crates/portmuster/src/targets/order.rs",
        old: "(right, add(left, mix(right ^ key) % side, side))",
        new: "(right, add(0, mix(right ^ key) % side, side))",
        caught_by: Unit("targets::order::tests::small_lengths_are_permuted_whole"),
    },
    Mutation {
        name: "window-one-more",
        why: "a limit off by one: as many in flight as allowed, and another",
        file: "crates/portmuster/src/schedule/window.rs",
        old: "in_flight < self.size.min(self.room)",
        new: "in_flight <= self.size.min(self.room)",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "window-stays-small",
        why: "who was short of something for a moment never gets back to its old pace",
        file: "crates/portmuster/src/schedule/window.rs",
        old: "self.size = self.most.min(self.size + 1 + self.size / self.part);",
        new: "",
        caught_by: Unit("schedule::window::tests::a_fault_shrinks_it_and_success_regrows_it"),
    },
    Mutation {
        name: "host-share-one-more",
        why: "a limit off by one: a host bears one attempt more than it is to",
        file: "crates/portmuster/src/schedule/hosts.rs",
        old: "busy.in_flight < most.get()",
        new: "busy.in_flight <= most.get()",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "rate-off",
        why: "every start finds a token",
        file: "crates/portmuster/src/schedule/pacer.rs",
        old: "if self.due > now {",
        new: "if false {",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "idle-time-saved-up",
        why: "who starts nothing for a minute may then start a minute's worth at once",
        file: "crates/portmuster/src/schedule/pacer.rs",
        old: "self.due.max(now.before(BURST)).after(interval)",
        new: "self.due.after(interval)",
        caught_by: Unit("schedule::pacer::tests::a_late_caller_gets_no_more_than_a_burst"),
    },
    Mutation {
        name: "no-rest",
        why: "a host that asked for fewer connections is tried again at once",
        file: "crates/portmuster/src/schedule/hosts.rs",
        old: "let until = now.after(REST);",
        new: "let until = now;",
        caught_by: Simulated("a_host_that_asks_for_less_rests_half_a_minute"),
    },
    Mutation {
        name: "excluded-by-name-only",
        why: "the addresses that a name turns out to have are not held against the excludes",
        file: "crates/portmuster/src/schedule.rs",
        old: "let allowed = self.allowed(addresses, self.checks[id.0].target().port);",
        new: "let allowed: Cow<'_, [SocketAddr]> = Cow::Borrowed(addresses);",
        caught_by: Unit("schedule::tests::excludes_hold_after_the_lookup"),
    },
    Mutation {
        name: "no-answer-told-as-no-name",
        why: "a resolver that does not answer proves nothing about the name",
        file: "crates/portmuster/src/schedule.rs",
        old: "self.end(id, PortState::Unchecked, Reason::LookupFailed, now);",
        new: "self.end(id, PortState::Unresolved, Reason::NoSuchName, now);",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "retry-dropped",
        why: "the last retry of a filtered target is never made",
        file: "crates/portmuster/src/schedule/check.rs",
        old: "PortState::Filtered && self.retries_left > 0",
        new: "PortState::Filtered && self.retries_left > 1",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "one-fault-more",
        why: "a limit off by one: patience with this machine lasts one fault longer",
        file: "crates/portmuster/src/schedule/check.rs",
        old: "const FAULTS_MAX: u32 = 10;",
        new: "const FAULTS_MAX: u32 = 11;",
        caught_by: Unit("schedule::tests::a_fault_that_stays_ends_as_unchecked_never_as_closed"),
    },
    Mutation {
        name: "timeout-one-more",
        why: "a limit off by one: silence is waited out for a millisecond longer",
        file: "crates/portmuster/src/check.rs",
        old: "(Timer::Connect, self.started.after(limits.timeout))",
        new: "(Timer::Connect, self.started.after(limits.timeout + std::time::Duration::from_millis(1)))",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "drip-outlives-deadline",
        why: "each byte puts the end of the conversation off",
        file: "crates/portmuster/src/check.rs",
        old: "(Timer::Conversation, self.since.after(limits.deadline))",
        new: "(Timer::Conversation, self.last_byte.after(limits.deadline))",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "fault-told-as-verdict",
        why: "trouble of this machine is written down as silence of the target",
        file: "crates/portmuster/src/check.rs",
        old: "\
            errno::Meaning::Fault(fault) => Step::Done(Conclusion::Fault(fault)),
            errno::Meaning::State(",
        new: "\
            errno::Meaning::Fault(_) => self.unconnected(PortState::Filtered, Reason::NoAnswer, now),
            errno::Meaning::State(",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "reset-takes-all-back",
        why: "a reset in the middle of a greeting makes an open port a filtered one",
        file: "crates/portmuster/src/check.rs",
        old: "_ => self.ended(Ending::Closed, now),",
        new: "_ => self.unconnected(PortState::Filtered, Reason::NoAnswer, now),",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "stale-event-believed",
        why: "a socket that is named while it is still pending counts as accepted",
        file: "crates/portmuster/src/driver.rs",
        old: "Connection::Pending => {",
        new: "\
                Connection::Pending if format!(\"{attempt:?}\").contains(\"Connecting\") => {
                    Event::Accepted
                }
                Connection::Pending => {",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "expired-before-asked",
        why: "a deadline ends an attempt whose answer waits to be seen",
        file: "crates/portmuster/src/driver.rs",
        old: "\
        self.net.doubt(socket);
        if let Some(conclusion) = self.advance(socket, attempt) {
            return Some(conclusion);
        }
        let now",
        new: "        let now",
        caught_by: Simulated("a_machine_that_is_held_up_tells_no_lies"),
    },
    Mutation {
        name: "moved-deadline-believed",
        why: "a deadline that a later byte has moved ends the conversation all the same",
        file: "crates/portmuster/src/driver.rs",
        old: "if self.deadline(attempt).1 > now {",
        new: "if false {",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "ended-attempt-kept",
        why: "an attempt that has ended is ended again by the next event at its socket",
        file: "crates/portmuster/src/method/event_loop.rs",
        old: "self.active[socket.0] = None;",
        new: "",
        caught_by: Simulated(TROUBLE),
    },
    Mutation {
        name: "starved-and-fed-more",
        why: "a loop that lacks what another keeps has least to do, and is given everything",
        file: "crates/portmuster/src/method/lanes.rs",
        old: "self.short = Some((lane, SPARED));",
        new: "",
        caught_by: Unit("method::lanes::tests::who_can_bear_nothing_is_not_given_everything"),
    },
    Mutation {
        name: "split-forgotten",
        why: "a telnet command that is split over two reads is not put together",
        file: "crates/portmuster/src/probe.rs",
        old: "let mut replies = Vec::new();",
        new: "\
        greeting.telnet = telnet::Negotiation::default();
        let mut replies = Vec::new();",
        caught_by: Unit("probe::transcripts::transcripts_prove_the_same_however_they_are_split"),
    },
    Mutation {
        name: "bytes-one-more",
        why: "a limit off by one: a tarpit is read a byte further than allowed",
        file: "crates/portmuster/src/probe.rs",
        old: "self.seen >= BYTES_MAX",
        new: "self.seen > BYTES_MAX",
        caught_by: Unit("probe::tests::bytes_without_end_are_a_tarpit_in_bounded_memory"),
    },
    Mutation {
        name: "packet-length-unchecked",
        why: "a server announces a packet of 4 GiB and is waited for",
        file: "crates/portmuster/src/probe/kexinit.rs",
        old: "(2..=PACKET_MAX).contains(&length)",
        new: "length >= 2",
        caught_by: Unit("probe::kexinit::tests::whatever_else_comes_is_told"),
    },
    Mutation {
        name: "barrier-open",
        why: "who starts early is given work before the others stand at the line",
        file: "crates/portmuster/src/workers/leases.rs",
        old: "if self.barrier.is_some() && self.opened(now).is_none() {",
        new: "if false {",
        caught_by: Unit("workers::leases::tests::nothing_is_leased_before_all_stand_at_the_line"),
    },
    Mutation {
        name: "settled-by-anybody",
        why: "an outcome that comes late or twice settles work that another worker holds by now",
        file: "crates/portmuster/src/workers/leases.rs",
        old: "if !self.holds(worker, ticket) {",
        new: "if !self.tasks.contains(slot(ticket)) {",
        caught_by: Unit("workers::leases::tests::what_comes_late_or_twice_settles_nothing"),
    },
];
