use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proptest::prelude::*;

use super::*;

fn at(milliseconds: u64) -> Instant {
    Instant::START.after(Duration::from_millis(milliseconds))
}

/// Creates leases to workers that have all joined.
fn joined(workers: usize, concurrency: usize, prefetch: usize) -> Leases<u32> {
    let mut leases = Leases::new(workers, prefetch, at(10_000));
    for worker in 0..workers {
        leases.join(worker, concurrency, at(0));
    }
    leases
}

fn fill(leases: &mut Leases<u32>, work: impl IntoIterator<Item = u32>) {
    work.into_iter().for_each(|work| leases.add(work));
}

#[test]
fn no_work_is_leased_before_all_workers_join() {
    let mut leases = Leases::new(2, 0, at(10_000));
    fill(&mut leases, 0..10);
    leases.join(0, 4, at(5));
    assert_eq!(leases.open_barrier(at(5)), None);
    assert!(leases.lease(0, at(9_999)).is_empty());
    assert_eq!(leases.next_timeout(), Some(at(5_005)), "the first worker must send a heartbeat");
    leases.join(1, 4, at(6));
    assert_eq!(leases.open_barrier(at(6)), Some(2));
    assert_eq!(leases.lease(0, at(6)).len(), 4);
    assert_eq!(leases.lease(1, at(6)).len(), 4);
}

#[test]
fn barrier_opens_without_late_workers_after_the_timeout() {
    let mut leases = Leases::new(3, 0, at(10_000));
    fill(&mut leases, 0..10);
    assert_eq!(leases.open_barrier(at(20_000)), None, "no worker has joined");
    leases.join(1, 4, at(9_000));
    assert_eq!(leases.open_barrier(at(10_000)), Some(1));
    assert_eq!(leases.lease(1, at(10_000)).len(), 4);
    leases.join(2, 4, at(11_000));
    assert_eq!(leases.lease(2, at(11_000)).len(), 4, "a late worker gets work, too");
}

#[test]
fn workers_with_much_capacity_share_a_short_list_evenly() {
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
fn worker_holds_at_most_its_concurrency_plus_prefetch() {
    let mut leases = joined(1, 3, 4);
    fill(&mut leases, 0..100);
    let first = leases.lease(0, at(0));
    assert_eq!(first.len(), 7);
    assert!(leases.lease(0, at(0)).is_empty());
    assert_eq!(leases.peak(), 3, "its concurrency is three");
    for &ticket in &first[..2] {
        assert!(leases.settle(0, ticket).is_some());
    }
    assert_eq!(leases.lease(0, at(0)).len(), 2, "half of its prefetch is used up");
}

#[test]
fn late_or_duplicate_ticket_settles_nothing() {
    let mut leases = joined(2, 1, 0);
    fill(&mut leases, [7, 8]);
    let (own, others) = (leases.lease(0, at(0)), leases.lease(1, at(0)));
    assert_eq!(leases.settle(0, others[0]), None, "another worker holds it");
    assert_eq!(leases.settle(0, own[0]), Some(7));
    assert_eq!(leases.settle(0, own[0]), None, "it is settled already");
    fill(&mut leases, [9]);
    let next = leases.lease(0, at(0));
    assert_eq!(leases.settle(0, own[0]), None, "other work has its index now");
    assert_eq!(leases.settle(0, next[0]), Some(9));
    assert_eq!(leases.settle(0, Ticket(u32::MAX)), None, "it was never issued");
}

#[test]
fn unstarted_work_of_a_busy_worker_goes_to_an_idle_one() {
    let mut leases = joined(2, 1, 8);
    fill(&mut leases, 0..10);
    let (busy, idle) = (leases.lease(0, at(0)), leases.lease(1, at(0)));
    assert_eq!((busy.len(), idle.len()), (5, 5));
    for ticket in idle {
        leases.settle(1, ticket);
    }
    assert_eq!(leases.recall(at(4)), None, "the lease is too recent");
    assert_eq!(leases.next_timeout(), Some(at(5)));
    assert_eq!(leases.recall(at(5)), Some((0, 2)), "half of its four unstarted pieces");
    assert_eq!(leases.recall(at(5)), None, "a recall is open");
    assert_eq!(leases.next_timeout(), Some(at(5_000)), "only the heartbeat timeout is left");
    leases.take_back(0, &busy[3..]);
    assert_eq!(leases.held(0), 3);
    assert_eq!(leases.lease(1, at(0)).len(), 2);
    assert_eq!(leases.settle(0, busy[4]), None, "it has returned that");
}

#[test]
fn started_work_is_not_recalled() {
    let mut leases = joined(2, 4, 8);
    fill(&mut leases, 0..8);
    leases.lease(0, at(0));
    for ticket in leases.lease(1, at(0)) {
        leases.settle(1, ticket);
    }
    assert_eq!(leases.recall(at(1_000)), None);
}

#[test]
fn worker_without_heartbeat_is_overdue() {
    let mut leases = joined(2, 1, 0);
    leases.renew(1, at(2_000));
    assert_eq!(leases.overdue(at(4_999)), None);
    assert_eq!(leases.overdue(at(5_000)), Some(0));
    leases.remove_worker(0);
    assert_eq!(leases.overdue(at(6_999)), None);
    assert_eq!(leases.overdue(at(7_000)), Some(1));
}

/// Runs workers that settle each lease as a whole, and end when it contains poison. Returns the
/// settled work, the work that was given up, and how many workers ended.
fn run_with_poison(
    mut leases: Leases<u32>,
    workers: usize,
    poison: &[u32],
) -> (Vec<u32>, Vec<u32>, u32) {
    let (mut settled, mut lost, mut ended) = (Vec::new(), Vec::new(), 0);
    let mut rounds = 0;
    while settled.len() + lost.len() < leases.generations.len() {
        rounds += 1;
        assert!(rounds < 10_000, "the run does not end");
        for worker in 0..workers {
            let tickets = leases.lease(worker, at(0));
            if tickets.iter().any(|&ticket| poison.contains(leases.work(ticket))) {
                lost.extend(leases.remove_worker(worker));
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
fn poison_is_isolated_and_all_other_work_settled() {
    for workers in [1, 2, 5] {
        let mut leases = joined(workers, 1, 255);
        fill(&mut leases, 0..256);
        let (settled, lost, ended) = run_with_poison(leases, workers, &[77]);
        assert_eq!(lost, [77], "{workers} workers");
        assert_eq!(settled, (0..256).filter(|&work| work != 77).collect::<Vec<_>>());
        // Halved until it is isolated, then three times alone.
        assert!((3..=11).contains(&ended), "{ended} of {workers} workers ended");
    }
}

#[test]
fn many_pieces_of_poison_are_isolated() {
    let mut leases = joined(3, 1, 63);
    fill(&mut leases, 0..192);
    let poison: Vec<_> = (0..192).step_by(7).collect();
    let (settled, mut lost, _) = run_with_poison(leases, 3, &poison);
    lost.sort_unstable();
    assert_eq!(lost, poison);
    assert_eq!(settled.len(), 192 - poison.len());
}

#[test]
fn busy_worker_drains_to_take_quarantined_work() {
    let mut leases = joined(2, 1, 7);
    fill(&mut leases, 0..100);
    let mut first = leases.lease(0, at(0));
    leases.lease(1, at(0));
    leases.remove_worker(1);
    for ticket in first.drain(..4) {
        leases.settle(0, ticket);
    }
    first.extend(leases.lease(0, at(0)));
    assert_eq!(leases.held(0), 8, "it gets work while the other is restarted");
    leases.close_slot(1);
    for ticket in first.drain(..4) {
        leases.settle(0, ticket);
    }
    assert!(leases.lease(0, at(0)).is_empty());
    // The remaining worker drains, although other work is waiting.
    for ticket in std::mem::take(&mut first) {
        leases.settle(0, ticket);
        first.extend(leases.lease(0, at(0)));
    }
    assert_eq!(first.len(), 4, "half of what the other held");
    assert!(leases.holders[0].quarantined);
}

#[test]
fn capacity_counts_joined_workers_and_quarantined_work() {
    let mut leases = Leases::new(2, 3, at(10_000));
    assert_eq!(leases.capacity(), 0);
    leases.join(0, 1, at(0));
    leases.join(1, 1, at(0));
    assert_eq!(leases.capacity(), 8);
    fill(&mut leases, 0..8);
    let tickets = [leases.lease(0, at(0)), leases.lease(1, at(0))].concat();
    assert_eq!(tickets.len(), 8);
    leases.remove_worker(1);
    assert_eq!(leases.capacity(), 8, "four at the first worker, and four quarantined");
    leases.join(1, 1, at(0));
    assert_eq!(
        leases.lease(1, at(0)).len(),
        2,
        "a worker with quarantined work gets no other work"
    );
    assert_eq!(leases.capacity(), 8);
    leases.remove_worker(0);
    leases.remove_worker(1);
    leases.close_slot(0);
    leases.close_slot(1);
    assert_eq!(leases.capacity(), usize::MAX, "all work is returned at once");
}

#[test]
fn barrier_opens_without_closed_slots() {
    let mut leases: Leases<u32> = Leases::new(2, 0, at(10_000));
    leases.join(0, 1, at(5));
    assert_eq!(leases.open_barrier(at(5)), None);
    leases.close_slot(1);
    assert_eq!(leases.open_barrier(at(5)), Some(1));
}

#[test]
fn delay_of_the_supervisor_extends_all_timeouts() {
    let mut leases: Leases<u32> = Leases::new(2, 0, at(10_000));
    leases.join(0, 1, at(0));
    leases.delayed(Duration::from_secs(12), at(12_000));
    assert_eq!(leases.open_barrier(at(12_000)), None);
    assert_eq!(leases.overdue(at(16_999)), None);
    assert_eq!(leases.open_barrier(at(22_000)), Some(1));
}

#[test]
fn quarantined_work_is_recalled_for_an_idle_worker() {
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
    leases.remove_worker(3);
    let mut held: Vec<_> = (0..3).map(|worker| leases.lease(worker, at(0))).collect();
    let (worker, most) = leases.recall(at(5)).expect("the third worker holds nothing");
    let kept = held[worker].len() - most;
    let back = held[worker].split_off(kept);
    leases.take_back(worker, &back);
    assert_eq!(leases.lease(2, at(5)), back, "it stays a separate group");
    assert!(leases.holders[2].quarantined);
}

#[test]
fn drain_returns_all_unsettled_work_once() {
    let mut leases = joined(2, 1, 3);
    fill(&mut leases, 0..20);
    leases.lease(0, at(0));
    leases.remove_worker(0);
    leases.remove_worker(1);
    let back: BTreeSet<_> = leases.drain().into_iter().collect();
    assert_eq!(back, (0..20).collect());
    assert!(leases.drain().is_empty());
}

/// Returns the virtual milliseconds that workers take for `work` pieces. Each worker does one piece
/// at a time, in as many milliseconds as its pace says.
fn time_taken(paces: &[u64], work: u32, prefetch: usize) -> u64 {
    let mut leases = joined(paces.len(), 1, prefetch);
    fill(&mut leases, 0..work);
    let mut queues: Vec<VecDeque<Ticket>> = vec![VecDeque::new(); paces.len()];
    let mut ends = vec![None; paces.len()];
    let (mut now, mut settled) = (0, 0);
    loop {
        for (worker, queue) in queues.iter_mut().enumerate() {
            queue.extend(leases.lease(worker, at(now)));
        }
        while let Some((worker, most)) = leases.recall(at(now)) {
            let started = usize::from(ends[worker].is_none());
            let kept = queues[worker].len().saturating_sub(most).max(started);
            let back: Vec<_> = queues[worker].drain(kept..).collect();
            leases.take_back(worker, &back);
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
                let done = queues[worker].pop_front().expect("it has started a piece");
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
fn slow_worker_does_not_delay_the_run() {
    let paces = [10, 10, 10, 100];
    // Together they do 31 pieces in 100 ms.
    let ideal = 1000 * 100 / 31;
    let taken = time_taken(&paces, 1000, defaults::PREFETCH);
    assert!(taken * 10 <= 13 * ideal, "{taken} ms, ideal {ideal} ms");
}

/// An event at a queue.
#[derive(Debug, Clone)]
enum Event {
    Add(u32),
    Join(WorkerId),
    Lease(WorkerId),
    /// The worker settles one piece that it holds.
    Settle(WorkerId, usize),
    /// The worker returns one piece.
    Return(WorkerId, usize),
    Recall,
    End(WorkerId),
}

const WORKERS: usize = 3;

fn event() -> impl Strategy<Value = Event> {
    let worker = || 0..WORKERS;
    prop_oneof![
        4 => any::<u32>().prop_map(Event::Add),
        2 => worker().prop_map(Event::Join),
        6 => worker().prop_map(Event::Lease),
        6 => (worker(), any::<usize>()).prop_map(|(worker, which)| Event::Settle(worker, which)),
        1 => (worker(), any::<usize>()).prop_map(|(worker, which)| Event::Return(worker, which)),
        1 => Just(Event::Recall),
        1 => worker().prop_map(Event::End),
    ]
}

proptest! {
    /// No two workers hold the same ticket, and each piece is settled or returned once.
    #[test]
    fn any_sequence_of_events_settles_or_returns_each_piece_once(
        events in proptest::collection::vec(event(), 0..400),
    ) {
        let mut leases = Leases::new(WORKERS, 2, at(0));
        let mut joined = [false; WORKERS];
        let mut held: BTreeMap<WorkerId, Vec<Ticket>> = BTreeMap::new();
        let (mut added, mut finished) = (0, 0);
        for event in events {
            match event {
                Event::Add(work) => {
                    leases.add(work);
                    added += 1;
                }
                Event::Join(worker) if !joined[worker] => {
                    leases.join(worker, 2, at(0));
                    joined[worker] = true;
                }
                Event::Lease(worker) => {
                    let tickets = leases.lease(worker, at(0));
                    prop_assert!(joined[worker] || tickets.is_empty());
                    for &ticket in &tickets {
                        prop_assert!(!held.values().flatten().any(|&other| other == ticket));
                    }
                    held.entry(worker).or_default().extend(tickets);
                    prop_assert!(held[&worker].len() <= 4);
                }
                Event::Settle(worker, which) => {
                    let own = held.entry(worker).or_default();
                    if !own.is_empty() {
                        let ticket = own.swap_remove(which % own.len());
                        prop_assert!(leases.settle(worker, ticket).is_some());
                        prop_assert!(leases.settle(worker, ticket).is_none());
                        finished += 1;
                    }
                }
                Event::Return(worker, which) => {
                    let own = held.entry(worker).or_default();
                    if !own.is_empty() {
                        let ticket = own.swap_remove(which % own.len());
                        leases.take_back(worker, &[ticket]);
                    }
                }
                Event::Recall => {
                    if let Some((worker, most)) = leases.recall(at(1_000)) {
                        prop_assert!(most >= 1 && most <= held[&worker].len());
                    }
                }
                Event::End(worker) => {
                    finished += leases.remove_worker(worker).len();
                    joined[worker] = false;
                    held.remove(&worker);
                }
                Event::Join(_) => {}
            }
        }
        finished += leases.drain().len();
        prop_assert_eq!(finished, added);
    }
}
