use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proptest::prelude::*;

use super::*;

fn at(milliseconds: u64) -> Instant {
    Instant::START.after(Duration::from_millis(milliseconds))
}

/// Workers that have all joined, and hold up to `ahead` more than they do at once.
fn joined(workers: usize, concurrency: usize, ahead: usize) -> Leases<u32> {
    let mut leases = Leases::new(workers, ahead, at(10_000));
    for worker in 0..workers {
        leases.join(worker, concurrency, at(0));
    }
    leases
}

fn fill(leases: &mut Leases<u32>, work: impl IntoIterator<Item = u32>) {
    work.into_iter().for_each(|work| leases.add(work));
}

#[test]
fn nothing_is_leased_before_all_stand_at_the_line() {
    let mut leases = Leases::new(2, 0, at(10_000));
    fill(&mut leases, 0..10);
    leases.join(0, 4, at(5));
    assert_eq!(leases.opened(at(5)), None);
    assert!(leases.lease(0, at(9_999)).is_empty());
    assert_eq!(leases.wake_at(), Some(at(5_005)), "the first worker must show itself");
    leases.join(1, 4, at(6));
    assert_eq!(leases.opened(at(6)), Some(2));
    assert_eq!(leases.lease(0, at(6)).len(), 4);
    assert_eq!(leases.lease(1, at(6)).len(), 4);
}

#[test]
fn the_line_is_left_without_those_who_are_late() {
    let mut leases = Leases::new(3, 0, at(10_000));
    fill(&mut leases, 0..10);
    assert_eq!(leases.opened(at(20_000)), None, "nobody is there at all");
    leases.join(1, 4, at(9_000));
    assert_eq!(leases.opened(at(10_000)), Some(1));
    assert_eq!(leases.lease(1, at(10_000)).len(), 4);
    leases.join(2, 4, at(11_000));
    assert_eq!(leases.lease(2, at(11_000)).len(), 4, "who comes late is welcome");
}

#[test]
fn a_large_worker_takes_no_more_than_its_share_of_a_short_list() {
    let mut leases = joined(2, 250, 256);
    let mut held = [0, 0];
    for batch in [256, 44] {
        fill(&mut leases, 0..batch);
        for (worker, held) in held.iter_mut().enumerate() {
            *held += leases.lease(worker, at(0)).len();
        }
    }
    assert_eq!(held, [150, 150]);
}

#[test]
fn a_worker_holds_no_more_than_it_may() {
    let mut leases = joined(1, 3, 4);
    fill(&mut leases, 0..100);
    let first = leases.lease(0, at(0));
    assert_eq!(first.len(), 7);
    assert!(leases.lease(0, at(0)).is_empty());
    assert_eq!(leases.peak(), 3, "it does three at once");
    for &ticket in &first[..2] {
        assert!(leases.settle(0, ticket).is_some());
    }
    assert_eq!(leases.lease(0, at(0)).len(), 2, "half of what it holds ahead is gone");
}

#[test]
fn what_comes_late_or_twice_settles_nothing() {
    let mut leases = joined(2, 1, 0);
    fill(&mut leases, [7, 8]);
    let (mine, others) = (leases.lease(0, at(0)), leases.lease(1, at(0)));
    assert_eq!(leases.settle(0, others[0]), None, "it is another's");
    assert_eq!(leases.settle(0, mine[0]), Some(7));
    assert_eq!(leases.settle(0, mine[0]), None, "it was settled");
    fill(&mut leases, [9]);
    let next = leases.lease(0, at(0));
    assert_eq!(leases.settle(0, mine[0]), None, "its slot is another's now");
    assert_eq!(leases.settle(0, next[0]), Some(9));
    assert_eq!(leases.settle(0, Ticket(u32::MAX)), None, "it never was");
}

#[test]
fn what_a_busy_worker_has_not_begun_goes_to_an_idle_one() {
    let mut leases = joined(2, 1, 8);
    fill(&mut leases, 0..10);
    let (busy, idle) = (leases.lease(0, at(0)), leases.lease(1, at(0)));
    assert_eq!((busy.len(), idle.len()), (5, 5));
    for ticket in idle {
        leases.settle(1, ticket);
    }
    assert_eq!(leases.recall(at(4)), None, "it has only just been given them");
    assert_eq!(leases.wake_at(), Some(at(5)));
    assert_eq!(leases.recall(at(5)), Some((0, 2)), "half of the four that wait there");
    assert_eq!(leases.recall(at(5)), None, "it was asked");
    assert_eq!(leases.wake_at(), Some(at(5_000)), "until it has answered");
    leases.returned(0, &busy[3..]);
    assert_eq!(leases.held(0), 3);
    assert_eq!(leases.lease(1, at(0)).len(), 2);
    assert_eq!(leases.settle(0, busy[4]), None, "it has given that back");
}

#[test]
fn nobody_is_asked_for_what_it_is_doing() {
    let mut leases = joined(2, 4, 8);
    fill(&mut leases, 0..8);
    leases.lease(0, at(0));
    for ticket in leases.lease(1, at(0)) {
        leases.settle(1, ticket);
    }
    assert_eq!(leases.recall(at(1_000)), None);
}

#[test]
fn who_is_silent_is_overdue() {
    let mut leases = joined(2, 1, 0);
    leases.extend(1, at(2_000));
    assert_eq!(leases.overdue(at(4_999)), None);
    assert_eq!(leases.overdue(at(5_000)), Some(0));
    leases.leave(0);
    assert_eq!(leases.overdue(at(6_999)), None);
    assert_eq!(leases.overdue(at(7_000)), Some(1));
}

/// Workers that do all they hold at once, and end when that holds one of these. What was settled,
/// what came back, and how many workers ended.
fn with_poison(
    mut leases: Leases<u32>,
    workers: usize,
    poison: &[u32],
) -> (Vec<u32>, Vec<u32>, u32) {
    let (mut settled, mut lost, mut ended) = (Vec::new(), Vec::new(), 0);
    let mut rounds = 0;
    while settled.len() + lost.len() < leases.uses.len() {
        rounds += 1;
        assert!(rounds < 10_000, "it comes to an end");
        for worker in 0..workers {
            let tickets = leases.lease(worker, at(0));
            if tickets.iter().any(|&ticket| poison.contains(leases.work(ticket))) {
                lost.extend(leases.leave(worker));
                leases.join(worker, 1, at(0));
                ended += 1;
            } else {
                settled.extend(tickets.into_iter().filter_map(|own| leases.settle(worker, own)));
            }
        }
    }
    settled.sort_unstable();
    (settled, lost, ended)
}

#[test]
fn what_ends_workers_is_found_and_takes_nobody_with_it() {
    for workers in [1, 2, 5] {
        let mut leases = joined(workers, 1, 255);
        fill(&mut leases, 0..256);
        let (settled, lost, ended) = with_poison(leases, workers, &[77]);
        assert_eq!(lost, [77], "{workers} workers");
        assert_eq!(settled, (0..256).filter(|&work| work != 77).collect::<Vec<_>>());
        // Halved until it stands alone, and three times alone.
        assert!((3..=11).contains(&ended), "{ended} of {workers} workers ended");
    }
}

#[test]
fn much_that_ends_workers_is_found_too() {
    let mut leases = joined(3, 1, 63);
    fill(&mut leases, 0..192);
    let poison: Vec<_> = (0..192).step_by(7).collect();
    let (settled, mut lost, _) = with_poison(leases, 3, &poison);
    lost.sort_unstable();
    assert_eq!(lost, poison);
    assert_eq!(settled.len(), 192 - poison.len());
}

#[test]
fn suspects_are_apart_from_all_other_work_even_when_nobody_is_idle() {
    let mut leases = joined(2, 1, 7);
    fill(&mut leases, 0..100);
    let mut first = leases.lease(0, at(0));
    leases.lease(1, at(0));
    leases.leave(1);
    for ticket in first.drain(..4) {
        leases.settle(0, ticket);
    }
    first.extend(leases.lease(0, at(0)));
    assert_eq!(leases.held(0), 8, "while the other is awaited it goes on");
    leases.dismiss(1);
    for ticket in first.drain(..4) {
        leases.settle(0, ticket);
    }
    assert!(leases.lease(0, at(0)).is_empty());
    // The worker that is left runs dry, although there is more to do.
    for ticket in std::mem::take(&mut first) {
        leases.settle(0, ticket);
        first.extend(leases.lease(0, at(0)));
    }
    assert_eq!(first.len(), 4, "one half of what the other held");
    assert!(leases.workers[0].apart);
}

#[test]
fn there_is_room_for_what_workers_can_take_just_now() {
    let mut leases = Leases::new(2, 3, at(10_000));
    assert_eq!(leases.room(), 0);
    leases.join(0, 1, at(0));
    leases.join(1, 1, at(0));
    assert_eq!(leases.room(), 8);
    fill(&mut leases, 0..8);
    let tickets = [leases.lease(0, at(0)), leases.lease(1, at(0))].concat();
    assert_eq!(tickets.len(), 8);
    leases.leave(1);
    assert_eq!(leases.room(), 8, "four with the first, and as many suspects");
    leases.join(1, 1, at(0));
    assert_eq!(leases.lease(1, at(0)).len(), 2, "who is apart takes no more");
    assert_eq!(leases.room(), 8);
    leases.leave(0);
    leases.leave(1);
    leases.dismiss(0);
    leases.dismiss(1);
    assert_eq!(leases.room(), usize::MAX, "whatever is brought comes back");
}

#[test]
fn nobody_waits_for_who_will_not_come() {
    let mut leases: Leases<u32> = Leases::new(2, 0, at(10_000));
    leases.join(0, 1, at(5));
    assert_eq!(leases.opened(at(5)), None);
    leases.dismiss(1);
    assert_eq!(leases.opened(at(5)), Some(1));
}

#[test]
fn time_in_which_nothing_ran_counts_against_nobody() {
    let mut leases: Leases<u32> = Leases::new(2, 0, at(10_000));
    leases.join(0, 1, at(0));
    leases.held_up(Duration::from_secs(12), at(12_000));
    assert_eq!(leases.opened(at(12_000)), None);
    assert_eq!(leases.overdue(at(16_999)), None);
    assert_eq!(leases.opened(at(22_000)), Some(1));
}

#[test]
fn suspects_are_shared_out_among_the_idle() {
    let mut leases = joined(4, 1, 199);
    fill(&mut leases, 0..200);
    let most = leases.lease(3, at(0)).len();
    while !leases.waiting.is_empty() {
        for worker in 0..3 {
            for ticket in leases.lease(worker, at(0)) {
                leases.settle(worker, ticket);
            }
        }
    }
    assert_eq!((most, leases.held(3)), (50, 50));
    leases.leave(3);
    let mut held: Vec<_> = (0..3).map(|worker| leases.lease(worker, at(0))).collect();
    let (worker, most) = leases.recall(at(5)).expect("the third has nothing");
    let kept = held[worker].len() - most;
    let back = held[worker].split_off(kept);
    leases.returned(worker, &back);
    assert_eq!(leases.lease(2, at(5)), back, "as a group of its own");
    assert!(leases.workers[2].apart);
}

#[test]
fn without_workers_everything_comes_back() {
    let mut leases = joined(2, 1, 3);
    fill(&mut leases, 0..20);
    leases.lease(0, at(0));
    leases.leave(0);
    leases.leave(1);
    let back: BTreeSet<_> = leases.abandon().into_iter().collect();
    assert_eq!(back, (0..20).collect());
    assert!(leases.abandon().is_empty());
}

/// How long it takes, in virtual time, when each worker does one piece of work in so long.
fn time_taken(paces: &[u64], work: u32, ahead: usize) -> u64 {
    let mut leases = joined(paces.len(), 1, ahead);
    fill(&mut leases, 0..work);
    let mut queues: Vec<VecDeque<Ticket>> = vec![VecDeque::new(); paces.len()];
    let mut ends = vec![None; paces.len()];
    let (mut now, mut settled) = (0, 0);
    loop {
        for (worker, queue) in queues.iter_mut().enumerate() {
            queue.extend(leases.lease(worker, at(now)));
        }
        while let Some((worker, most)) = leases.recall(at(now)) {
            let begun = usize::from(ends[worker].is_none());
            let kept = queues[worker].len().saturating_sub(most).max(begun);
            let back: Vec<_> = queues[worker].drain(kept..).collect();
            leases.returned(worker, &back);
        }
        let idle = leases.waiting.is_empty();
        for (worker, end) in ends.iter_mut().enumerate() {
            if end.is_none() && !queues[worker].is_empty() {
                *end = Some(now + paces[worker]);
            }
        }
        if !idle {
            continue;
        }
        let Some(next) = ends.iter().flatten().min().copied() else { return now };
        now = next;
        for worker in 0..paces.len() {
            if ends[worker] == Some(now) {
                ends[worker] = None;
                let done = queues[worker].pop_front().expect("it was doing something");
                assert!(leases.settle(worker, done).is_some());
                settled += 1;
            }
        }
        if settled == work {
            return now;
        }
    }
}

#[test]
fn a_slow_worker_holds_nobody_up() {
    let paces = [10, 10, 10, 100];
    // Together they do 31 in 100 ms.
    let ideal = 1000 * 100 / 31;
    let taken = time_taken(&paces, 1000, defaults::PREFETCH);
    assert!(taken * 10 <= 13 * ideal, "{taken} ms, ideal {ideal} ms");
}

/// What may happen to a queue.
#[derive(Debug, Clone)]
enum Happening {
    Add(u32),
    Join(WorkerId),
    Lease(WorkerId),
    /// Settles one of those that the worker holds.
    Settle(WorkerId, usize),
    /// Gives one back.
    Return(WorkerId, usize),
    Recall,
    Leave(WorkerId),
}

const WORKERS: usize = 3;

fn happening() -> impl Strategy<Value = Happening> {
    let worker = || 0..WORKERS;
    prop_oneof![
        4 => any::<u32>().prop_map(Happening::Add),
        2 => worker().prop_map(Happening::Join),
        6 => worker().prop_map(Happening::Lease),
        6 => (worker(), any::<usize>()).prop_map(|(worker, which)| Happening::Settle(worker, which)),
        1 => (worker(), any::<usize>()).prop_map(|(worker, which)| Happening::Return(worker, which)),
        1 => Just(Happening::Recall),
        1 => worker().prop_map(Happening::Leave),
    ]
}

proptest! {
    /// Whatever happens: nothing is with two workers, and everything comes out once.
    #[test]
    fn nothing_is_lost_and_nothing_is_done_twice(
        happenings in proptest::collection::vec(happening(), 0..400),
    ) {
        let mut leases = Leases::new(WORKERS, 2, at(0));
        let mut there = [false; WORKERS];
        let mut held: BTreeMap<WorkerId, Vec<Ticket>> = BTreeMap::new();
        let (mut added, mut out) = (0, 0);
        for happening in happenings {
            match happening {
                Happening::Add(work) => {
                    leases.add(work);
                    added += 1;
                }
                Happening::Join(worker) if !there[worker] => {
                    leases.join(worker, 2, at(0));
                    there[worker] = true;
                }
                Happening::Lease(worker) => {
                    let tickets = leases.lease(worker, at(0));
                    prop_assert!(there[worker] || tickets.is_empty());
                    for &ticket in &tickets {
                        prop_assert!(!held.values().flatten().any(|&other| other == ticket));
                    }
                    held.entry(worker).or_default().extend(tickets);
                    prop_assert!(held[&worker].len() <= 4);
                }
                Happening::Settle(worker, which) => {
                    let own = held.entry(worker).or_default();
                    if !own.is_empty() {
                        let ticket = own.swap_remove(which % own.len());
                        prop_assert!(leases.settle(worker, ticket).is_some());
                        prop_assert!(leases.settle(worker, ticket).is_none());
                        out += 1;
                    }
                }
                Happening::Return(worker, which) => {
                    let own = held.entry(worker).or_default();
                    if !own.is_empty() {
                        let ticket = own.swap_remove(which % own.len());
                        leases.returned(worker, &[ticket]);
                    }
                }
                Happening::Recall => {
                    if let Some((worker, most)) = leases.recall(at(1_000)) {
                        prop_assert!(most >= 1 && most <= held[&worker].len());
                    }
                }
                Happening::Leave(worker) => {
                    out += leases.leave(worker).len();
                    there[worker] = false;
                    held.remove(&worker);
                }
                Happening::Join(_) => {}
            }
        }
        out += leases.abandon().len();
        prop_assert_eq!(out, added);
    }
}
