//! Blocks of targets that do not answer: their passes, the looks at them, and what is stated of them.

use super::*;
use crate::outcome::Certainty;

/// Returns the policy of a run over a list that estimates what it misses.
fn measuring(positions: u64, max_missed: f64) -> Policy {
    let blocks = BlockPolicy { positions: Some(positions), ..blocks(Some(max_missed)) };
    Policy { retries: 1, patience: Patience::Adaptive, blocks, in_flight: 1 << 20, ..unlimited() }
}

/// The address of the target at a position.
fn endpoint(position: u64) -> SocketAddr {
    let bits = u32::try_from(position).expect("it is small") + 0x0A00_0000;
    (std::net::Ipv4Addr::from_bits(bits), 22).into()
}

fn position(endpoint: SocketAddr) -> u64 {
    match endpoint.ip() {
        IpAddr::V4(address) => u64::from(address.to_bits() - 0x0A00_0000),
        IpAddr::V6(_) => panic!("all targets have IPv4 addresses"),
    }
}

/// A network: says whether the n-th attempt on the target at a position, counted from 1, is answered.
type Answers<'a> = dyn Fn(u64, u32) -> bool + 'a;

/// The result of a run.
struct Ran {
    outcomes: Vec<Outcome>,
    certainty: Option<Certainty>,
    /// The number of attempts on each target.
    attempts: Vec<u32>,
    elapsed: Duration,
}

/// Runs a schedule over so many targets.
fn run(policy: Policy, targets: u64, answers: &Answers<'_>) -> Ran {
    let mut schedule = schedule(policy);
    let timeout = Duration::from_secs(10);
    let mut attempts = vec![0; usize::try_from(targets).expect("there are few")];
    let (mut added, mut now) = (0, at(0));
    let mut outcomes = Vec::new();
    let mut pending = BinaryHeap::new();
    while !schedule.is_finished() {
        while schedule.has_room() && added < targets {
            schedule.add(Target::from(endpoint(added)), now);
            added += 1;
        }
        if added == targets {
            schedule.input_ended();
        }
        for start in starts(&mut schedule, now) {
            let position = position(start.endpoint);
            let count = &mut attempts[usize::try_from(position).expect("there are few")];
            *count += 1;
            let is_answered = answers(position, *count);
            let wait = if is_answered {
                Duration::from_millis(20)
            } else {
                start.patience.unwrap_or(timeout)
            };
            pending.push(Reverse((now.after(wait), start.id, is_answered, wait)));
        }
        outcomes.extend(schedule.take_outcomes());
        let next = pending.peek().map(|&Reverse((at, ..))| at);
        let Some(next) = next.into_iter().chain(schedule.next_timeout()).min() else { continue };
        now = now.max(next);
        while let Some(&Reverse((at, id, is_answered, wait))) = pending.peek()
            && at <= now
        {
            pending.pop();
            let (state, reason) = if is_answered {
                (PortState::Closed, Reason::Refused)
            } else {
                (PortState::Filtered, Reason::NoAnswer)
            };
            let conclusion = Conclusion::Verdict(Verdict::unconnected(state, reason, wait));
            schedule.settle(Report { id, conclusion }, now);
        }
    }
    outcomes.extend(schedule.take_outcomes());
    let certainty = schedule.certainty();
    Ran { outcomes, certainty, attempts, elapsed: now.since(Instant::START) }
}

fn silent(ran: &Ran) -> usize {
    let is_silent = |outcome: &&Outcome| outcome.verdict.state == PortState::Filtered;
    ran.outcomes.iter().filter(is_silent).count()
}

#[test]
fn every_target_gets_one_outcome_and_the_silent_are_sampled() {
    let ran = run(measuring(20_000, 0.01), 20_000, &|position, _| position % 64 == 0);
    let positions: HashSet<_> = ran.outcomes.iter().map(|outcome| outcome.position).collect();
    assert_eq!((ran.outcomes.len(), positions.len()), (20_000, 20_000));
    assert_eq!(silent(&ran), 20_000 - 20_000_usize.div_ceil(64));
    let certainty = ran.certainty.expect("it is estimated");
    assert_eq!(certainty.silent.asked_again, 410);
    assert_eq!((certainty.silent.answered, certainty.controls), (0, 300));
    assert!(certainty.missed_share().is_some_and(|share| share <= 0.01), "{certainty:?}");
    // One pass takes at most the timeout; the sample takes it again.
    assert!(ran.elapsed < Duration::from_secs(21), "{:?}", ran.elapsed);
}

#[test]
fn sample_is_drawn_from_the_whole_block() {
    let ran = run(measuring(20_000, 0.01), 20_000, &|_, _| false);
    let usual = *ran.attempts.iter().min().expect("there are targets");
    let is_asked = |attempts: &&u32| **attempts > usual + 1;
    let asked: usize = ran.attempts.iter().filter(is_asked).count();
    let first_half = ran.attempts[..10_000].iter().filter(is_asked).count();
    assert!(
        asked > 350 && first_half * 3 > asked && first_half * 3 < 2 * asked,
        "{first_half} of {asked}"
    );
}

#[test]
fn targets_that_answer_late_attempts_are_found_by_further_passes() {
    // They answer from their third attempt on; the passes make two.
    let late = |position: u64| position % 20 == 7;
    let ran =
        run(measuring(20_000, 0.01), 20_000, &|position, attempt| late(position) && attempt > 2);
    let certainty = ran.certainty.expect("it is estimated");
    let missed = silent(&ran) - 19_000;
    assert!(missed < 200, "{missed} of 1,000 are still missed");
    assert_eq!(certainty.silent.answered, 1000 - missed as u64);
    assert!(certainty.missed_max().is_some_and(|bound| bound >= missed as u64), "{certainty:?}");
    assert!(certainty.is_within(0.01), "{certainty:?}");
}

#[test]
fn all_are_asked_again_if_they_are_few() {
    let ran = run(measuring(300, 0.001), 300, &|position, attempt| position == 150 && attempt > 2);
    let certainty = ran.certainty.expect("it is estimated");
    assert_eq!((certainty.silent.targets, certainty.silent.answered), (299, 1));
    assert_eq!(certainty.missed_max(), Some(0));
}

#[test]
fn nothing_is_stated_when_controls_fall_silent() {
    // A firewall blocks this machine after the first attempts.
    let ran = run(measuring(20_000, 0.01), 20_000, &|position, attempt| {
        position % 64 == 0 && attempt == 1
    });
    let certainty = ran.certainty.expect("it is estimated");
    assert!(certainty.is_blocked() && certainty.missed_max().is_none(), "{certainty:?}");
    assert_eq!(certainty.silent_controls, 300);
    assert_eq!(silent(&ran), 20_000 - 20_000_usize.div_ceil(64), "they keep their outcomes");
}

#[test]
fn nothing_is_estimated_without_a_limit() {
    let policy = Policy { blocks: blocks(None), ..measuring(1000, 0.01) };
    let ran = run(policy, 1000, &|_, _| false);
    assert_eq!((ran.certainty, silent(&ran)), (None, 1000));
    assert!(ran.attempts.iter().all(|&attempts| attempts <= 2));
}

#[test]
fn blocks_of_a_stream_end_one_after_another() {
    let positions = BlockPolicy { positions: None, ..blocks(Some(0.001)) };
    let policy = Policy { blocks: positions, in_flight: 20_000, ..measuring(0, 0.001) };
    let ran = run(policy, 200_000, &|position, _| position % 64 == 0);
    assert_eq!(ran.outcomes.len(), 200_000);
    let certainty = ran.certainty.expect("it is estimated");
    assert!(certainty.silent.asked_again >= 200_000 / 16 - 1000, "{certainty:?}");
    assert!(certainty.missed_max().is_some_and(|bound| bound < 100), "{certainty:?}");
}

#[test]
fn stopped_run_gives_out_what_it_holds_and_states_nothing() {
    let mut schedule = schedule(measuring(1000, 0.001));
    for position in 0..100 {
        schedule.add(Target::from(endpoint(position)), at(0));
    }
    for start in starts(&mut schedule, at(0)) {
        settle(&mut schedule, start, silence(3200), at(3200));
    }
    for start in starts(&mut schedule, at(5000)) {
        settle(&mut schedule, start, silence(3200), at(8200));
    }
    schedule.stop(at(9000));
    assert_eq!(schedule.take_outcomes().len(), 100);
    assert!(schedule.is_finished());
    assert_eq!(schedule.certainty().expect("it is estimated").missed_max(), None);
}
