//! Worker processes that are slow, unresponsive, killed, stopped, or send garbage.
//!
//! This test is its own worker program: the arguments `job`, `relay` or `worker` start it as one.

use std::{
    collections::{HashMap, HashSet},
    env,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use portmuster::{
    Account, Checker, Config, Method, Outcome, PortState, Reason, Target,
    method::WorkersReport,
    workers::{Program, TaskError, WorkerExit, Workers, WorkersError},
};
use portmuster_lab::{Behaviour, Server};

#[path = "workers/jobs.rs"]
mod jobs;
#[path = "shared/limit.rs"]
mod limit;
#[path = "workers/processes.rs"]
mod processes;
#[path = "workers/relay.rs"]
mod relay;
#[path = "shared/settings.rs"]
mod settings;
#[path = "shared/worker.rs"]
mod worker;

use self::{
    jobs::{Done, pause},
    limit::LIMIT,
    relay::Relay,
    settings::unthrottled,
    worker::checker,
};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("job"), Some(job)) => return jobs::serve_job(&job, arguments.next()),
        (Some("relay"), Some(mode)) => return relay::run(&mode, arguments.next()),
        (Some("coordinator"), Some(target)) => return coordinate(&target),
        _ => {}
    }
    worker::main(worker::trials![
        every_item_is_processed_once,
        item_that_kills_its_worker_is_returned,
        slow_worker_does_not_delay_the_run,
        large_workers_share_a_short_list,
        slow_consumer_stops_the_input,
        blocked_input_delays_no_result,
        dropping_results_ends_the_workers,
        program_that_is_not_a_worker_is_abandoned,
        checks_without_workers_are_unchecked,
        oversized_item_is_returned,
        oversized_result_is_not_a_worker_kill,
        large_item_gets_its_own_frame,
        memory_does_not_grow_with_processed_items,
        frames_sent_byte_by_byte_are_read,
        garbage_ends_only_its_worker,
        worker_that_never_reads_is_replaced,
        run_starts_without_worker_that_is_never_ready,
        stopped_worker_is_replaced,
        target_that_kills_workers_is_quarantined,
        slow_targets_are_distributed_evenly,
        blocked_list_yields_its_first_outcomes,
        fifty_kills_change_no_outcome,
        no_worker_outlives_its_coordinator,
    ])
}

/// Returns workers that run this program with this job.
fn job(name: &str) -> Workers {
    let program = Program::this().expect("it runs").arg("job").arg(name);
    Workers { processes: 3, ..Workers::new(program) }
}

/// Returns a checker whose workers are relays between the coordinator and a real worker.
fn relay(relay: Relay, processes: usize, folder: &tempfile::TempDir) -> Checker {
    let program = Program::this().expect("it runs");
    let program = program.arg("relay").arg(relay.to_string()).arg(folder.path());
    let settings = unthrottled().method(Method::Processes).workers(processes);
    let config = settings.build().expect("the settings are valid");
    Checker::new(config).with_workers(program)
}

/// Returns loopback targets that refuse connections: nothing listens on port 1.
fn refused(targets: u32) -> impl Iterator<Item = Target> + Send {
    (0..targets).map(|nth| Target::from((Ipv4Addr::from(0x7F20_0000 + nth), 1)))
}

/// Runs the checker over refused targets, asserts that each is closed exactly once, and calls
/// `each` with the index of each outcome.
fn assert_closed_once(
    checker: &Checker,
    targets: u32,
    mut each: impl FnMut(usize),
) -> (Account, WorkersReport) {
    let mut outcomes = checker.check(refused(targets)).expect("the workers start");
    let mut hosts = HashSet::new();
    for (nth, outcome) in outcomes.by_ref().enumerate() {
        assert_eq!(outcome.verdict.state, PortState::Closed, "{outcome:?}");
        assert!(hosts.insert(outcome.target.host.clone()), "{} came twice", outcome.target);
        each(nth);
    }
    let account = outcomes.account();
    assert_eq!(hosts.len(), targets as usize);
    assert_eq!((account.targets, account.settled()), (targets.into(), targets.into()));
    assert_eq!(account.state(PortState::Closed), u64::from(targets));
    (account, outcomes.workers().clone())
}

fn every_item_is_processed_once() {
    let mut results = job("square").run::<u64, u64>(0..20_000).expect("the workers start");
    let mut done: Vec<_> = results.by_ref().map(|(work, result)| (work, result.ok())).collect();
    done.sort_unstable();
    assert_eq!(done, (0..20_000).map(|work| (work, Some(work * work))).collect::<Vec<_>>());
    assert_eq!(results.shares().iter().sum::<u64>(), 20_000);
    assert!(results.next().is_none(), "the iterator is fused");
}

fn item_that_kills_its_worker_is_returned() {
    // One of the two items makes its worker abort, the other makes it panic.
    let results = job("square").run::<u64, u64>((0..2_000).chain([u64::MAX, u64::MAX - 1]));
    let (mut done, mut lost) = (0, Vec::new());
    for (work, result) in results.expect("the workers start") {
        match result {
            Ok(square) => {
                assert_eq!(square, work * work);
                done += 1;
            }
            Err(why) => lost.push((work, why)),
        }
    }
    lost.sort_unstable_by_key(|&(work, _)| work);
    assert_eq!(done, 2_000);
    assert_eq!(
        lost,
        [(u64::MAX - 1, TaskError::KillsWorkers), (u64::MAX, TaskError::KillsWorkers)]
    );
}

/// One worker takes ten times as long per item. It gets so few items that the run takes at most 1.3
/// times the ideal: the time in which all workers together, none of them idle, do all items.
fn slow_worker_does_not_delay_the_run() {
    let folder = tempfile::tempdir().expect("temporary folders can be created");
    let program = Program::this().expect("it runs").arg("job").arg("slow").arg(folder.path());
    let workers = Workers { processes: 4, ..Workers::new(program) };
    let jobs = 2_000;
    let mut results = workers.run::<u64, Done>(0..jobs).expect("the workers start");
    // The items of each worker, and the time that they took there, in seconds.
    let mut workers: HashMap<u32, (f64, f64)> = HashMap::new();
    for (_, done) in results.by_ref() {
        let done = done.expect("no worker ends");
        let (items, seconds) = workers.entry(done.worker).or_default();
        (*items, *seconds) = (*items + 1.0, *seconds + done.time.as_secs_f64());
    }
    assert_eq!(results.shares().iter().sum::<u64>(), jobs);
    let per_second: f64 = workers.values().map(|(items, seconds)| items / seconds).sum();
    let items: f64 = workers.values().map(|(items, _)| items).sum();
    let taken = workers.values().map(|&(_, seconds)| seconds).fold(0.0, f64::max);
    assert_eq!(workers.len(), 4, "the slow worker did something");
    assert!(taken <= 1.3 * items / per_second, "{workers:?}");
}

fn large_workers_share_a_short_list() {
    let workers = Workers { processes: 2, threads: 250, ..job("second") };
    let mut results = workers.run::<u64, ()>(0..300).expect("the workers start");
    assert_eq!(results.by_ref().filter(|(_, result)| result.is_ok()).count(), 300);
    assert!(results.shares().iter().all(|&share| share <= 180), "{:?}", results.shares());
}

fn slow_consumer_stops_the_input() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let input = (0..100_000_u64).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let mut results = job("square").run::<u64, u64>(input).expect("the workers start");
    let mut at = Vec::new();
    for _ in 0..10 {
        assert!(results.next().is_some());
        pause(Duration::from_millis(300));
        at.push((taken.load(Ordering::Relaxed), processes::memory_kib()));
    }
    // Three workers with 257 items each, as many results, and the input queue.
    assert!(at.iter().all(|&(taken, _)| taken <= 2 * 3 * 257 + 1024 + 128), "{at:?}");
    let (first, last) = (at[1].1, at[9].1);
    assert!(last <= first + 1024, "memory grew from {first} to {last} KiB");
    assert_eq!(results.count(), 99_990);
}

fn blocked_input_delays_no_result() {
    let (unblock, blocked) = mpsc::sync_channel::<u64>(0);
    let input = (0..10).chain(blocked);
    let mut results = job("square").run::<u64, u64>(input).expect("the workers start");
    let mut first: Vec<_> = results.by_ref().take(10).map(|(work, _)| work).collect();
    first.sort_unstable();
    assert_eq!(first, (0..10).collect::<Vec<_>>());
    drop(unblock);
    assert!(results.next().is_none());
}

fn dropping_results_ends_the_workers() {
    let mut results = job("for-ever").run::<u64, ()>(0..3).expect("the workers start");
    let workers = processes::wait_for_own(3);
    drop(results.by_ref().take(0));
    drop(results);
    for worker in workers {
        assert!(worker.has_ended_within(Duration::ZERO), "the drop waits for every worker");
    }
}

fn program_that_is_not_a_worker_is_abandoned() {
    let missing = Workers::new(Program::new("/nowhere/at/all"));
    let error = missing.run::<u64, u64>(0..3).expect_err("there is no such program");
    assert!(matches!(error, WorkersError::Program { .. }), "{error}");

    let wrong = Workers { processes: 2, ..Workers::new(Program::new("true")) };
    let mut results = wrong.run::<u64, u64>(0..3).expect("it can be started");
    let lost: Vec<_> = results.by_ref().map(|(_, result)| result).collect();
    assert_eq!(lost, [Err(TaskError::NoWorkers); 3]);
}

/// The run holds checks back while no worker is available, and returns them when none can be
/// started.
fn checks_without_workers_are_unchecked() {
    for method in Method::ALL.into_iter().filter(|method| method.has_processes()) {
        let settings = unthrottled().method(method).workers(2);
        let config = settings.build().expect("the settings are valid");
        let checker = Checker::new(config);
        let outcomes = checker.with_workers(Program::new("true")).check(refused(300));
        let outcomes: Vec<_> = outcomes.expect("it can be started").collect();
        assert_eq!(outcomes.len(), 300, "{method}");
        let is_reported = |outcome: &Outcome| outcome.verdict.reason == Reason::NoWorkers;
        assert!(outcomes.iter().all(is_reported), "{method}: {:?}", outcomes[0]);
    }
}

fn oversized_item_is_returned() {
    let huge = "x".repeat(20 << 20);
    let work = ["a".to_owned(), huge, "b".to_owned()];
    let results = job("length").run::<String, usize>(work).expect("the workers start");
    let mut results: Vec<_> = results.map(|(work, result)| (work.len().min(9), result)).collect();
    results.sort_unstable_by_key(|&(length, _)| length);
    assert_eq!(results, [(1, Ok(1)), (1, Ok(1)), (9, Err(TaskError::Unsendable))]);
}

fn oversized_result_is_not_a_worker_kill() {
    let results = job("repeat").run::<usize, String>([3, 20 << 20, 1]).expect("they start");
    let mut results: Vec<_> =
        results.map(|(work, result)| (work, result.map(|text| text.len()))).collect();
    results.sort_unstable_by_key(|&(length, _)| length);
    assert_eq!(results, [(1, Ok(1)), (3, Ok(3)), (20 << 20, Err(TaskError::Unsendable))]);
}

/// A large item does not share a frame, and fits into one on its own.
fn large_item_gets_its_own_frame() {
    let work = [100 << 10, (16 << 20) - 100, 1].map(|length| "x".repeat(length));
    let results = job("length").run::<String, usize>(work).expect("the workers start");
    let mut lengths: Vec<_> = results.map(|(_, result)| result).collect();
    lengths.sort_unstable_by_key(|length| length.unwrap_or(0));
    assert_eq!(lengths, [Ok(1), Ok(100 << 10), Ok((16 << 20) - 100)]);
}

/// Processed items are freed, although no socket buffer is ever empty.
fn memory_does_not_grow_with_processed_items() {
    let workers = Workers { processes: 2, prefetch: 8, ..job("length") };
    let work = (0..20_000).map(|_| "x".repeat(50_000));
    let mut results = workers.run::<String, usize>(work).expect("the workers start");
    let early = results.by_ref().take(4_000).map(|_| processes::memory_kib()).max();
    let late = results.map(|_| processes::memory_kib()).max();
    assert!(late < early.map(|early| early + (100 << 10)), "{early:?} to {late:?} KiB");
}

fn frames_sent_byte_by_byte_are_read() {
    let folder = tempfile::tempdir().expect("temporary folders can be created");
    let (_, workers) = assert_closed_once(&relay(Relay::SingleBytes, 2, &folder), 300, |_| ());
    assert!(workers.lost.is_empty(), "{workers:?}");
    assert_eq!((workers.ready, workers.shares.len()), (2, 2));
}

fn garbage_ends_only_its_worker() {
    let folder = tempfile::tempdir().expect("temporary folders can be created");
    let (_, workers) = assert_closed_once(&relay(Relay::GarbageOnce, 2, &folder), 2_000, |_| ());
    assert_eq!(workers.lost.get(&WorkerExit::Garbage), Some(&1), "{workers:?}");
}

fn worker_that_never_reads_is_replaced() {
    let folder = tempfile::tempdir().expect("temporary folders can be created");
    let (_, workers) = assert_closed_once(&relay(Relay::DeafOnce, 2, &folder), 2_000, |_| ());
    assert_eq!(workers.lost.get(&WorkerExit::Silent), Some(&1), "{workers:?}");
}

fn run_starts_without_worker_that_is_never_ready() {
    let folder = tempfile::tempdir().expect("temporary folders can be created");
    let (_, workers) = assert_closed_once(&relay(Relay::MuteOnce, 3, &folder), 1_000, |_| ());
    assert_eq!(workers.ready, 2, "the run starts without the third");
    assert_eq!(workers.lost.get(&WorkerExit::NotReady), Some(&1), "{workers:?}");
}

fn stopped_worker_is_replaced() {
    let settings = unthrottled().method(Method::Processes).workers(3).rate(2_000);
    let stop = |nth| {
        if nth == 100 {
            processes::wait_for_own(3)[1].stop();
        }
    };
    let (_, workers) = assert_closed_once(&checker(settings), 3_000, stop);
    assert_eq!(workers.lost.get(&WorkerExit::Silent), Some(&1), "{workers:?}");
}

fn target_that_kills_workers_is_quarantined() {
    let folder = tempfile::tempdir().expect("temporary folders can be created");
    let poison = Target::from((Ipv4Addr::from(relay::POISON), 1));
    let targets = refused(600).chain([poison.clone()]).chain(refused(1_200).skip(600));
    let checker = relay(Relay::Poisoned, 4, &folder);
    let mut outcomes = checker.check(targets).expect("the workers start");
    let (mut closed, mut unchecked) = (0, Vec::new());
    for Outcome { target, verdict, .. } in outcomes.by_ref() {
        match verdict.state {
            PortState::Closed => closed += 1,
            _ => unchecked.push((target, verdict.state, verdict.reason)),
        }
    }
    assert_eq!(closed, 1_200);
    assert_eq!(unchecked, [(poison, PortState::Unchecked, Reason::KillsWorkers)]);
    assert_eq!(outcomes.account().settled(), 1_201);
}

/// Three hundred targets take a second each: two processes of 250 threads do half each.
fn slow_targets_are_distributed_evenly() {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server =
        Server::start(Behaviour::Slow(Duration::from_secs(1)), local).expect("the server starts");
    let settings =
        Config::builder().method(Method::ProcessThreads).workers(2).rate(None).per_host(None);
    let targets = vec![Target::from(server.endpoint()); 300];
    let mut outcomes = checker(settings).check(targets).expect("the workers start");
    assert_eq!(outcomes.by_ref().filter(Outcome::is_open).count(), 300);
    let shares = &outcomes.workers().shares;
    assert!(shares.iter().all(|&share| share <= 180), "{shares:?}");
}

fn blocked_list_yields_its_first_outcomes() {
    for method in Method::ALL.into_iter().filter(|method| method.has_processes()) {
        let (unblock, blocked) = mpsc::sync_channel::<Target>(0);
        let settings = Config::builder().method(method);
        let targets = refused(10).chain(blocked);
        let mut outcomes = checker(settings).check(targets).expect("the workers start");
        assert_eq!(outcomes.by_ref().take(10).count(), 10, "{method}");
        drop(unblock);
        assert!(outcomes.next().is_none());
    }
}

/// Checks 200,000 targets while workers are killed.
fn fifty_kills_change_no_outcome() {
    let settings = unthrottled().method(Method::Processes).workers(8);
    let kill = |nth: usize| {
        // Picks any worker in turn, often one that was just restarted.
        if nth % 2_500 == 1_000 {
            let workers = processes::wait_for_any_own();
            workers[nth / 2_500 % workers.len()].kill();
        }
    };
    let (_, workers) = assert_closed_once(&checker(settings), 200_000, kill);
    let killed = workers.lost.get(&WorkerExit::Signal(9)).copied().unwrap_or_default();
    assert!(killed >= 50, "{killed} workers ended by the signal: {:?}", workers.lost);
}

/// Checks one target with four workers, until it is killed.
fn coordinate(target: &str) -> ExitCode {
    let target: SocketAddr = target.parse().expect("an address");
    let settings = Config::builder().method(Method::Processes).workers(4).per_host(None);
    let settings = settings.timeout(Duration::from_hours(1));
    let outcomes = checker(settings).check(vec![Target::from(target); 4]).expect("the run starts");
    ExitCode::from(u8::try_from(outcomes.count()).unwrap_or(u8::MAX))
}

fn no_worker_outlives_its_coordinator() {
    // A connection to a full backlog waits for its timeout.
    let full = processes::full_backlog();
    let endpoint = full.0.local_addr().expect("it is bound");
    let mut coordinator = processes::this(["coordinator", &endpoint.to_string()]);
    let workers = processes::wait_for_children(coordinator.id(), 4);
    for worker in &workers {
        worker.wait_until_connecting(endpoint);
    }
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it can be waited for");
    for worker in workers {
        // Shorter than the connection timeout.
        assert!(worker.has_ended_within(LIMIT), "{worker:?} is still there");
    }
}
