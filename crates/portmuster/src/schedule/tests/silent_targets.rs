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

/// A run over targets, which another process may continue.
struct Ran {
    outcomes: Vec<Outcome>,
    certainty: Option<Certainty>,
    /// The number of attempts on each target.
    attempts: Vec<u32>,
    elapsed: Duration,
    /// What a journal would contain: it may be older than the outcomes.
    saved: SilentState,
}

impl Ran {
    /// Returns a run over so many targets before its start.
    fn none(targets: u64) -> Self {
        Self {
            outcomes: Vec::new(),
            certainty: None,
            attempts: vec![0; usize::try_from(targets).expect("there are few")],
            elapsed: Duration::ZERO,
            saved: SilentState::default(),
        }
    }
}

/// Runs a schedule over so many targets.
fn run(policy: Policy, targets: u64, answers: &Answers<'_>) -> Ran {
    run_on(policy, Ran::none(targets), answers, Duration::MAX)
}

/// Continues a run, up to this time.
fn run_on(policy: Policy, earlier: Ran, answers: &Answers<'_>, until: Duration) -> Ran {
    run_until(policy, earlier, answers, until, false)
}

/// Continues a run, up to this time. `is_stopped`: it then saves its state, which is up to a second old if
/// it is killed.
fn run_until(
    policy: Policy,
    earlier: Ran,
    answers: &Answers<'_>,
    until: Duration,
    is_stopped: bool,
) -> Ran {
    let Ran { mut outcomes, mut attempts, mut saved, .. } = earlier;
    let settled: Positions = outcomes.iter().map(|outcome| outcome.position).collect();
    let targets = attempts.len() as u64;
    let mut left = settled.missing().take_while(|&position| position < targets);
    let mut schedule = schedule(policy).resuming(&settled).resuming_silent(saved.clone(), &settled);
    let timeout = Duration::from_secs(10);
    let mut now = at(0);
    let mut pending = BinaryHeap::new();
    let mut save_at = at(0);
    let mut turns = 0;
    while !schedule.is_finished() && now.since(Instant::START) < until {
        turns += 1;
        assert!(turns < 10_000_000, "the run does not end");
        while schedule.has_room()
            && let Some(position) = left.next()
        {
            schedule.add(Target::from(endpoint(position)), now);
            if position + 1 == targets {
                schedule.input_ended();
            }
        }
        for start in starts(&mut schedule, now) {
            let position = position(start.endpoint);
            let count = &mut attempts[usize::try_from(position).expect("there are few")];
            *count += 1;
            let is_answered = answers(position, *count);
            let patience = start.patience.unwrap_or(timeout);
            let wait = if is_answered { Duration::from_millis(20) } else { patience };
            pending.push(Reverse((now.after(wait), start.id, is_answered, wait)));
        }
        if let Some(state) = schedule.save_silent(save_at <= now) {
            saved = state;
            save_at = now.after(Duration::from_secs(1));
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
    if is_stopped {
        saved = schedule.save_silent(true).unwrap_or_default();
    }
    Ran { outcomes, certainty, attempts, elapsed: now.since(Instant::START), saved }
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
fn controls_that_wait_for_their_host_have_no_outcome() {
    let policy = Policy { per_host: NonZeroU32::new(1), ..measuring(21, 0.001) };
    let mut schedule = schedule(policy);
    // Twenty ports of a host that refuses, and a silent host.
    for port in 1..=20 {
        schedule.add(target(1, port), at(0));
    }
    schedule.add(target(2, 1), at(0));
    schedule.input_ended();
    let mut now = at(0);
    let mut outcomes = Vec::new();
    while !schedule.is_finished() {
        for start in starts(&mut schedule, now) {
            let is_silent = start.endpoint == SocketAddr::from(([192, 0, 2, 2], 1));
            let conclusion = if is_silent { silence(3200) } else { verdict(PortState::Closed) };
            settle(&mut schedule, start, conclusion, now);
        }
        outcomes.extend(schedule.take_outcomes());
        now = now.after(Duration::from_secs(1));
    }
    let mut positions: Vec<_> = outcomes.iter().map(|outcome| outcome.position).collect();
    positions.sort_unstable();
    assert!(positions.into_iter().eq(0..21), "each target has one outcome");
    let certainty = schedule.certainty().expect("it is estimated");
    assert_eq!((certainty.controls, certainty.silent_controls), (20, 0));
}

/// Like when the network of this machine goes away after the passes.
#[test]
fn attempts_that_fail_here_prove_nothing() {
    let mut schedule = schedule(measuring(100, 0.001));
    for position in 0..100 {
        schedule.add(Target::from(endpoint(position)), at(0));
    }
    schedule.input_ended();
    let mut now = at(0);
    let mut passes = 0;
    while !schedule.is_finished() {
        let started = starts(&mut schedule, now);
        passes += usize::from(started.len() > 10);
        for start in started {
            let conclusion = match (passes, position(start.endpoint) < 10) {
                (1, true) => verdict(PortState::Closed),
                (1 | 2, _) => silence(3200),
                _ => verdict(PortState::Unchecked),
            };
            settle(&mut schedule, start, conclusion, now);
        }
        now = now.after(Duration::from_secs(5));
        schedule.take_outcomes();
    }
    let certainty = schedule.certainty().expect("it is estimated");
    assert_eq!((certainty.silent.asked_again, certainty.controls), (0, 0), "{certainty:?}");
    assert_eq!((certainty.missed_max(), certainty.failed_controls), (None, 10));
    assert!(!certainty.is_within(0.5) && !certainty.is_blocked());
}

/// Like when the route to one network goes away after the passes.
#[test]
fn targets_that_could_not_be_asked_again_may_be_missed() {
    let mut schedule = schedule(measuring(100, 0.001));
    for position in 0..100 {
        schedule.add(Target::from(endpoint(position)), at(0));
    }
    schedule.input_ended();
    let (mut now, mut attempts, mut outcomes) = (at(0), vec![0; 100], Vec::new());
    while !schedule.is_finished() {
        for start in starts(&mut schedule, now) {
            let position = usize::try_from(position(start.endpoint)).expect("it is small");
            attempts[position] += 1;
            let conclusion = match (position, attempts[position]) {
                (0..10, _) => verdict(PortState::Closed),
                (75.., 3..) => verdict(PortState::Unchecked),
                _ => silence(3200),
            };
            settle(&mut schedule, start, conclusion, now);
        }
        now = now.after(Duration::from_secs(5));
        outcomes.extend(schedule.take_outcomes());
    }
    let certainty = schedule.certainty().expect("it is estimated");
    assert!(certainty.missed_max().is_some_and(|bound| bound >= 25), "{certainty:?}");
    assert!(!certainty.is_within(0.1) && certainty.is_reachable());
    // Three looks at all that had not answered.
    assert_eq!((certainty.silent.asked_again, certainty.silent.failed), (3 * 65, 3 * 25));
    let attempts_on_lost: Vec<_> =
        outcomes.iter().filter(|it| it.position >= 75).map(|it| it.attempts).collect();
    assert_eq!(attempts_on_lost, [2; 25]);
    assert!(outcomes.iter().all(|it| it.verdict.state != PortState::Unchecked));
}

/// Routers limit how many ICMP messages they send, so a target is refused by one or silent by chance.
#[test]
fn target_stays_in_its_stratum_when_icmp_begins_to_refuse_it() {
    let refused = || {
        let total = Duration::from_millis(3200);
        Conclusion::Verdict(Verdict::unconnected(PortState::Filtered, Reason::Prohibited, total))
    };
    let mut schedule = schedule(measuring(1000, 0.01));
    for position in 0..1000 {
        schedule.add(Target::from(endpoint(position)), at(0));
    }
    schedule.input_ended();
    let (mut now, mut attempts) = (at(0), vec![0; 1000]);
    while !schedule.is_finished() {
        for start in starts(&mut schedule, now) {
            let position = usize::try_from(position(start.endpoint)).expect("it is small");
            attempts[position] += 1;
            let is_refused = position % 4 == 0 || attempts[position] > 2;
            settle(&mut schedule, start, if is_refused { refused() } else { silence(3200) }, now);
        }
        now = now.after(Duration::from_secs(5));
        schedule.take_outcomes();
    }
    let Certainty { silent, refused, .. } = schedule.certainty().expect("it is estimated");
    assert_eq!((silent.targets, silent.asked_again), (750, 410));
    assert_eq!((refused.targets, refused.asked_again), (250, 250));
}

/// A firewall that begins to lose packets when a run is stopped hides most of what an attempt would find.
#[test]
fn answers_in_a_resumed_run_do_not_lower_the_bound() {
    // 15 % of the attempts are answered.
    let lossy = |position: u64, attempt: u32| {
        let mixed = (position << 8 | u64::from(attempt)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40) % 100 < 15
    };
    let mut stated = 0;
    for (stopped_after, is_stopped) in (0..50).flat_map(|it| [(it * 500, true), (it * 500, false)])
    {
        let time = Duration::from_millis(stopped_after);
        let policy = measuring(1000, 0.01);
        let none = Ran::none(1000);
        let stopped = run_until(policy.clone(), none, &|_, _| false, time, is_stopped);
        if stopped.outcomes.len() == 1000 {
            break;
        }
        let resumed = run_on(policy, stopped, &lossy, Duration::MAX);
        let silent = silent(&resumed) as u64;
        // Regardless of the controls, of which most have fallen silent.
        let recheck = resumed.certainty.expect("it is estimated").silent;
        if let Some(bound) = recheck.missed_max() {
            assert!(bound >= silent / 10, "{bound} of {silent} after {time:?}");
            stated += 1;
        }
    }
    assert!(stated > 20, "{stated}");
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
    assert!((4095..8192).contains(&certainty.silent.asked_again), "{certainty:?}");
    assert!(certainty.is_within(0.001), "{certainty:?}");
}

/// Blocks of a stream also end because they are old, with few targets.
#[test]
fn stream_that_is_slow_asks_as_many_again_as_its_limit_needs() {
    let positions = BlockPolicy { positions: None, targets_max: 100, ..blocks(Some(0.01)) };
    let policy = Policy { blocks: positions, ..measuring(0, 0.01) };
    let ran = run(policy, 3000, &|_, _| false);
    let certainty = ran.certainty.expect("it is estimated");
    assert!(certainty.is_within(0.01), "{certainty:?}");
    assert!((410..1600).contains(&certainty.silent.asked_again), "{certainty:?}");
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

#[test]
fn resumed_run_continues_passes_and_looks() {
    let late = |position: u64| position.is_multiple_of(40);
    let answers = |position: u64, attempt: u32| position % 64 == 1 || late(position) && attempt > 2;
    let undisturbed = run(measuring(5000, 0.01), 5000, &answers);
    for killed_after in [100, 2_000, 3_300, 5_100, 8_300, 9_000, 11_000, 15_000, 20_300, 24_000] {
        let killed_after = Duration::from_millis(killed_after);
        let killed = run_on(measuring(5000, 0.01), Ran::none(5000), &answers, killed_after);
        assert!(killed.saved.is_sound(), "{killed_after:?}");
        let text = serde_json::to_string(&killed.saved).expect("it is representable");
        let read: SilentState = serde_json::from_str(&text).expect("it was written so");
        assert_eq!(read, killed.saved);
        let resumed = run_on(measuring(5000, 0.01), killed, &answers, Duration::MAX);
        let positions: HashSet<_> = resumed.outcomes.iter().map(|it| it.position).collect();
        assert_eq!((resumed.outcomes.len(), positions.len()), (5000, 5000), "{killed_after:?}");
        let certainty = resumed.certainty.expect("it is estimated");
        let is_late = |it: &&Outcome| it.verdict.state == PortState::Filtered && late(it.position);
        let missed = resumed.outcomes.iter().filter(is_late).count() as u64;
        assert!(certainty.missed_max().is_some_and(|bound| bound >= missed), "{killed_after:?}");
        assert_eq!(certainty.silent.targets, silent(&resumed) as u64, "{killed_after:?}");
        // The attempts of the killed process that were in flight, one for each silent target, and another
        // pass and look if that one is answered.
        let (most, usual) = (resumed.attempts.iter().max(), undisturbed.attempts.iter().max());
        assert!(most <= usual.map(|usual| usual + 4).as_ref(), "{killed_after:?}: {most:?}");
    }
}

#[test]
fn resumed_run_makes_only_the_attempts_that_are_left() {
    let answers = |position: u64, _: u32| position % 64 == 1;
    let attempts = |ran: &Ran| ran.attempts.iter().sum::<u32>();
    for (stopped_after, most) in [
        // All have had their first attempt: one retry each, the controls and the sample are left.
        (4_000, 5000 + 300 + 410),
        // All had all attempts: one more each, because their verdicts are not stored.
        (8_500, 5000 + 300 + 410),
        // A look was in progress; its controls and some of its sample were asked.
        (12_000, 5000 + 410),
    ] {
        let stopped_after = Duration::from_millis(stopped_after);
        let policy = measuring(5000, 0.01);
        let stopped = run_until(policy.clone(), Ran::none(5000), &answers, stopped_after, true);
        let before = attempts(&stopped);
        let resumed = run_on(policy, stopped, &answers, Duration::MAX);
        let more = attempts(&resumed) - before;
        assert!(more <= most, "{more} of {most} after {stopped_after:?}");
        let certainty = resumed.certainty.expect("it is estimated");
        assert_eq!(certainty.silent.asked_again, 410, "nothing was drawn twice");
        assert!(certainty.is_within(0.01));
    }
}

#[test]
fn resumed_look_notices_that_this_machine_was_blocked_since() {
    let policy = measuring(5000, 0.01);
    let answers = |position: u64, _: u32| position % 64 == 1;
    let in_the_look = Duration::from_secs(12);
    let stopped = run_until(policy.clone(), Ran::none(5000), &answers, in_the_look, true);
    let resumed = run_on(policy, stopped, &|_, _| false, Duration::MAX);
    let certainty = resumed.certainty.expect("it is estimated");
    assert!(certainty.is_blocked() && certainty.missed_max().is_none(), "{certainty:?}");
}

#[test]
fn attempts_stay_apart_when_a_run_is_resumed() {
    let nine_seconds = Duration::from_secs(9);
    let stopped =
        run_until(measuring(500, 0.01), Ran::none(500), &|_, _| false, nine_seconds, true);
    let none = Positions::new();
    let mut schedule = schedule(measuring(500, 0.01)).resuming_silent(stopped.saved, &none);
    schedule.add(Target::from(endpoint(0)), at(0));
    assert_eq!((schedule.next_start(at(4999)), schedule.next_timeout()), (None, Some(at(5000))));
    assert!(schedule.next_start(at(5000)).is_some());
}

#[test]
fn state_that_does_not_cover_unsettled_targets_is_ignored() {
    let policy = measuring(500, 0.01);
    let ran = run_until(policy, Ran::none(500), &|_, _| false, Duration::MAX, true);
    let text = serde_json::to_string(&ran.saved).expect("it is representable");
    let concluded = "\"concluded\":[[0,500]]";
    assert!(text.contains(concluded), "{text}");
    let text = text.replace(concluded, "\"concluded\":[[100,500]]");
    let saved: SilentState = serde_json::from_str(&text).expect("the fields are the same");
    let settled: Positions = (100..500).collect();
    let mut schedule =
        schedule(measuring(500, 0.01)).resuming(&settled).resuming_silent(saved, &settled);
    for position in settled.missing().take(100) {
        schedule.add(Target::from(endpoint(position)), at(0));
    }
    assert_eq!(starts(&mut schedule, at(5000)).len(), 100);
}

#[test]
fn look_with_a_short_timeout_waits_as_long_as_a_retry() {
    let timeout = Duration::from_millis(300);
    let mut schedule = schedule(Policy { timeout, ..measuring(10, 0.01) });
    for position in 0..10 {
        schedule.add(Target::from(endpoint(position)), at(0));
    }
    schedule.input_ended();
    for (from, until) in [(0, 300), (5_000, 5_300), (10_000, 10_300)] {
        if from > 0 {
            assert_eq!(schedule.next_start(at(from - 1)), None, "{from}");
        }
        let started = starts(&mut schedule, at(from));
        assert_eq!(started.len(), 10, "{from}");
        for start in started {
            settle(&mut schedule, start, silence(300), at(until));
        }
        starts(&mut schedule, at(until));
    }
    assert_eq!(schedule.take_outcomes().len(), 10);
    assert!(schedule.is_finished());
}

#[test]
fn state_of_another_run_is_refused_or_ignored() {
    let nine_seconds = Duration::from_secs(9);
    let killed = run_on(measuring(5000, 0.01), Ran::none(5000), &|_, _| false, nine_seconds);
    let text = serde_json::to_string(&killed.saved).expect("it is representable");
    for (old, new) in [
        ("\"first\":0", "\"first\":9000"),
        ("\"end\":5000", "\"end\":10"),
        ("\"end\":5000", "\"end\":18446744073709551615"),
        ("\"targets\":5000", "\"targets\":5001"),
        ("\"controls\":[0,[]]", "\"controls\":[0,[\"192.0.2.1:1\"]]"),
    ] {
        assert!(text.contains(old), "{old} is in {text}");
        let forged: SilentState =
            serde_json::from_str(&text.replacen(old, new, 1)).expect("the fields are the same");
        assert!(!forged.is_sound(), "{new}");
    }
}
