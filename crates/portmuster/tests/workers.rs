//! Worker processes that are slow, deaf, killed, stopped, or talk nonsense.
//!
//! This test is its own worker program: started with `job`, `relay` or `worker` it works.

use std::{
    collections::HashSet,
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
    Account, Checker, Config, Method, Outcome, PortState, Reason, Target, WorkersReport,
    workers::{Program, TaskError, WorkerExit, Workers, WorkersError},
};
use portmuster_lab::{Behaviour, Server};

#[path = "workers/jobs.rs"]
mod jobs;
#[path = "workers/processes.rs"]
mod processes;
#[path = "workers/relay.rs"]
mod relay;
#[path = "shared/worker.rs"]
mod worker;

use self::{jobs::pause, relay::Relay, worker::checker};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("job"), Some(job)) => return jobs::serve_job(&job, arguments.next()),
        (Some("relay"), Some(manner)) => return relay::run(&manner, arguments.next()),
        (Some("coordinator"), Some(target)) => return coordinate(&target),
        _ => {}
    }
    worker::main(worker::trials![
        every_piece_of_work_is_done_once,
        work_that_ends_its_worker_comes_back,
        a_slow_worker_holds_nobody_up,
        large_workers_share_a_short_list,
        a_slow_consumer_stops_the_input,
        an_input_that_blocks_holds_up_nothing,
        dropped_results_end_the_workers,
        a_program_that_is_no_worker_is_given_up,
        checks_without_workers_are_unchecked,
        work_that_can_not_be_sent_comes_back,
        results_that_can_not_be_sent_are_told_apart_from_what_kills,
        a_large_piece_goes_in_a_frame_of_its_own,
        memory_does_not_grow_with_what_has_passed,
        single_bytes_are_frames_in_the_end,
        garbage_ends_its_worker_and_nothing_else,
        a_worker_that_never_reads_is_replaced,
        a_worker_that_is_never_ready_is_left_behind,
        a_stopped_worker_is_replaced,
        a_target_that_kills_workers_stands_alone,
        slow_targets_are_shared_out,
        a_blocked_list_gives_its_first_outcomes,
        fifty_kills_change_no_outcome,
        no_worker_outlives_its_coordinator,
    ])
}

/// This program, started as a worker for a job.
fn job(name: &str) -> Workers {
    let program = Program::this().expect("it runs").arg("job").arg(name);
    Workers { processes: 3, ..Workers::new(program) }
}

/// This program, started as a worker that stands between the coordinator and a real one.
fn relay(relay: Relay, processes: usize, memory: &tempfile::TempDir) -> Checker {
    let program = Program::this().expect("it runs");
    let program = program.arg("relay").arg(relay.to_string()).arg(memory.path());
    let config =
        Config { method: Method::Processes, workers: Some(processes), ..Config::unthrottled() };
    Checker::new(config).expect("settings that a run can have").with_workers(program)
}

/// Loopback addresses on which nothing listens on port 1.
fn refused(targets: u32) -> impl Iterator<Item = Target> + Send {
    (0..targets).map(|nth| Target::from((Ipv4Addr::from(0x7F20_0000 + nth), 1)))
}

/// All outcomes of a run over refused targets, each of which must have come once.
fn closed_once(
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

fn every_piece_of_work_is_done_once() {
    let mut results = job("square").run::<u64, u64>(0..20_000).expect("the workers start");
    let mut done: Vec<_> = results.by_ref().map(|(work, result)| (work, result.ok())).collect();
    done.sort_unstable();
    assert_eq!(done, (0..20_000).map(|work| (work, Some(work * work))).collect::<Vec<_>>());
    assert_eq!(results.shares().iter().sum::<u64>(), 20_000);
    assert!(results.next().is_none(), "it stays over");
}

fn work_that_ends_its_worker_comes_back() {
    // One of them aborts and one panics.
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

/// One worker takes ten times as long for each. That the whole run takes at most 1.3 times the
/// ideal is read off the shares: whoever is last ends when it has done its own.
fn a_slow_worker_holds_nobody_up() {
    let memory = tempfile::tempdir().expect("a place for a file");
    let program = Program::this().expect("it runs").arg("job").arg("slow").arg(memory.path());
    let workers = Workers { processes: 4, ..Workers::new(program) };
    let jobs = 2_000;
    let mut results = workers.run::<u64, bool>(0..jobs).expect("the workers start");
    let slow = results.by_ref().filter(|(_, result)| *result == Ok(true)).count();
    assert_eq!(results.shares().iter().sum::<u64>(), jobs);
    // In 20 ms three workers do ten each, and the slow one does one: 31 together.
    let ideal = 2_000 * 20 / 31;
    let taken = (slow * 20).max((2_000 - slow) * 20 / 30);
    assert!(slow > 0, "the slow worker did something");
    assert!(taken * 10 <= 13 * ideal, "the slow worker did {slow} of {jobs}");
}

fn large_workers_share_a_short_list() {
    let workers = Workers { processes: 2, threads: 250, ..job("second") };
    let mut results = workers.run::<u64, ()>(0..300).expect("the workers start");
    assert_eq!(results.by_ref().filter(|(_, result)| result.is_ok()).count(), 300);
    assert!(results.shares().iter().all(|&share| share <= 180), "{:?}", results.shares());
}

fn a_slow_consumer_stops_the_input() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let input = (0..100_000_u64).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let mut results = job("square").run::<u64, u64>(input).expect("the workers start");
    let mut at = Vec::new();
    for _ in 0..10 {
        assert!(results.next().is_some());
        pause(Duration::from_secs(1));
        at.push((taken.load(Ordering::Relaxed), processes::memory_kib()));
    }
    // Three workers that hold 257 each, as many results again, and the queue of the input.
    assert!(at.iter().all(|&(taken, _)| taken <= 2 * 3 * 257 + 1024 + 128), "{at:?}");
    let (first, last) = (at[1].1, at[9].1);
    assert!(last <= first + 1024, "memory grew from {first} to {last} KiB");
    assert_eq!(results.count(), 99_990);
}

fn an_input_that_blocks_holds_up_nothing() {
    let (unblock, blocked) = mpsc::sync_channel::<u64>(0);
    let input = (0..10).chain(blocked);
    let mut results = job("square").run::<u64, u64>(input).expect("the workers start");
    let mut first: Vec<_> = results.by_ref().take(10).map(|(work, _)| work).collect();
    first.sort_unstable();
    assert_eq!(first, (0..10).collect::<Vec<_>>());
    drop(unblock);
    assert!(results.next().is_none());
}

fn dropped_results_end_the_workers() {
    let mut results = job("for-ever").run::<u64, ()>(0..3).expect("the workers start");
    let workers = processes::of_mine(3);
    drop(results.by_ref().take(0));
    drop(results);
    for worker in workers {
        assert!(worker.has_ended_within(Duration::ZERO), "the drop waits for every worker");
    }
}

fn a_program_that_is_no_worker_is_given_up() {
    let missing = Workers::new(Program::new("/nowhere/at/all"));
    let error = missing.run::<u64, u64>(0..3).expect_err("there is no such program");
    assert!(matches!(error, WorkersError::Program { .. }), "{error}");

    let wrong = Workers { processes: 2, ..Workers::new(Program::new("true")) };
    let mut results = wrong.run::<u64, u64>(0..3).expect("it can be started");
    let lost: Vec<_> = results.by_ref().map(|(_, result)| result).collect();
    assert_eq!(lost, [Err(TaskError::NoWorkers); 3]);
}

/// Checks are held back while workers are away, and come back when there are none to wait for.
fn checks_without_workers_are_unchecked() {
    for method in Method::ALL.into_iter().filter(|method| method.has_processes()) {
        let config = Config { method, workers: Some(2), ..Config::unthrottled() };
        let checker = Checker::new(config).expect("settings that a run can have");
        let outcomes = checker.with_workers(Program::new("true")).check(refused(300));
        let outcomes: Vec<_> = outcomes.expect("it can be started").collect();
        assert_eq!(outcomes.len(), 300, "{method}");
        let is_told = |outcome: &Outcome| outcome.verdict.reason == Reason::NoWorkers;
        assert!(outcomes.iter().all(is_told), "{method}: {:?}", outcomes[0]);
    }
}

fn work_that_can_not_be_sent_comes_back() {
    let huge = "x".repeat(20 << 20);
    let work = ["a".to_owned(), huge, "b".to_owned()];
    let results = job("length").run::<String, usize>(work).expect("the workers start");
    let mut results: Vec<_> = results.map(|(work, result)| (work.len().min(9), result)).collect();
    results.sort_unstable_by_key(|&(length, _)| length);
    assert_eq!(results, [(1, Ok(1)), (1, Ok(1)), (9, Err(TaskError::Unsendable))]);
}

fn results_that_can_not_be_sent_are_told_apart_from_what_kills() {
    let results = job("repeat").run::<usize, String>([3, 20 << 20, 1]).expect("they start");
    let mut results: Vec<_> =
        results.map(|(work, result)| (work, result.map(|text| text.len()))).collect();
    results.sort_unstable_by_key(|&(length, _)| length);
    assert_eq!(results, [(1, Ok(1)), (3, Ok(3)), (20 << 20, Err(TaskError::Unsendable))]);
}

/// Large pieces share a frame with nobody, and fit in one by themselves.
fn a_large_piece_goes_in_a_frame_of_its_own() {
    let work = [100 << 10, (16 << 20) - 100, 1].map(|length| "x".repeat(length));
    let results = job("length").run::<String, usize>(work).expect("the workers start");
    let mut lengths: Vec<_> = results.map(|(_, result)| result).collect();
    lengths.sort_unstable_by_key(|length| length.unwrap_or(0));
    assert_eq!(lengths, [Ok(1), Ok(100 << 10), Ok((16 << 20) - 100)]);
}

/// What has passed is not kept, although no socket ever runs empty.
fn memory_does_not_grow_with_what_has_passed() {
    let workers = Workers { processes: 2, prefetch: 8, ..job("length") };
    let work = (0..20_000).map(|_| "x".repeat(50_000));
    let mut results = workers.run::<String, usize>(work).expect("the workers start");
    let early = results.by_ref().take(4_000).map(|_| processes::memory_kib()).max();
    let late = results.map(|_| processes::memory_kib()).max();
    assert!(late < early.map(|early| early + (100 << 10)), "{early:?} to {late:?} KiB");
}

fn single_bytes_are_frames_in_the_end() {
    let memory = tempfile::tempdir().expect("a place for a file");
    let (_, workers) = closed_once(&relay(Relay::SingleBytes, 2, &memory), 300, |_| ());
    assert!(workers.lost.is_empty(), "{workers:?}");
    assert_eq!((workers.ready, workers.shares.len()), (2, 2));
}

fn garbage_ends_its_worker_and_nothing_else() {
    let memory = tempfile::tempdir().expect("a place for a file");
    let (_, workers) = closed_once(&relay(Relay::GarbageOnce, 2, &memory), 2_000, |_| ());
    assert_eq!(workers.lost.get(&WorkerExit::Garbage), Some(&1), "{workers:?}");
}

fn a_worker_that_never_reads_is_replaced() {
    let memory = tempfile::tempdir().expect("a place for a file");
    let (_, workers) = closed_once(&relay(Relay::DeafOnce, 2, &memory), 2_000, |_| ());
    assert_eq!(workers.lost.get(&WorkerExit::Silent), Some(&1), "{workers:?}");
}

fn a_worker_that_is_never_ready_is_left_behind() {
    let memory = tempfile::tempdir().expect("a place for a file");
    let (_, workers) = closed_once(&relay(Relay::MuteOnce, 3, &memory), 1_000, |_| ());
    assert_eq!(workers.ready, 2, "the run began without the third");
    assert_eq!(workers.lost.get(&WorkerExit::NotReady), Some(&1), "{workers:?}");
}

fn a_stopped_worker_is_replaced() {
    let config = Config {
        method: Method::Processes,
        workers: Some(3),
        rate: std::num::NonZeroU32::new(2_000),
        ..Config::unthrottled()
    };
    let stop = |nth| {
        if nth == 100 {
            processes::of_mine(3)[1].stop();
        }
    };
    let (_, workers) = closed_once(&checker(config), 3_000, stop);
    assert_eq!(workers.lost.get(&WorkerExit::Silent), Some(&1), "{workers:?}");
}

fn a_target_that_kills_workers_stands_alone() {
    let memory = tempfile::tempdir().expect("a place for a file");
    let poison = Target::from((Ipv4Addr::from(relay::POISON), 1));
    let targets = refused(600).chain([poison.clone()]).chain(refused(1_200).skip(600));
    let checker = relay(Relay::Poisoned, 4, &memory);
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

/// Three hundred targets that take a second each: two processes of 250 threads do half each.
fn slow_targets_are_shared_out() {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::start(Behaviour::Slow(Duration::from_secs(1)), local).expect("it starts");
    let config = Config {
        method: Method::ProcessThreads,
        workers: Some(2),
        rate: None,
        per_host: None,
        ..Config::default()
    };
    let targets = vec![Target::from(server.endpoint()); 300];
    let mut outcomes = checker(config).check(targets).expect("the workers start");
    assert_eq!(outcomes.by_ref().filter(Outcome::is_open).count(), 300);
    let shares = &outcomes.workers().shares;
    assert!(shares.iter().all(|&share| share <= 180), "{shares:?}");
}

fn a_blocked_list_gives_its_first_outcomes() {
    for method in Method::ALL.into_iter().filter(|method| method.has_processes()) {
        let (unblock, blocked) = mpsc::sync_channel::<Target>(0);
        let config = Config { method, ..Config::default() };
        let targets = refused(10).chain(blocked);
        let mut outcomes = checker(config).check(targets).expect("the workers start");
        assert_eq!(outcomes.by_ref().take(10).count(), 10, "{method}");
        drop(unblock);
        assert!(outcomes.next().is_none());
    }
}

/// Two hundred thousand targets, while somebody kills the workers.
fn fifty_kills_change_no_outcome() {
    let config = Config { method: Method::Processes, workers: Some(8), ..Config::unthrottled() };
    let kill = |nth: usize| {
        // Whoever is first: it has just been started again as often as not.
        if nth % 2_500 == 1_000
            && let Some(worker) = processes::mine().get(nth / 2_500 % 8)
        {
            worker.kill();
        }
    };
    let (_, workers) = closed_once(&checker(config), 200_000, kill);
    let killed = workers.lost.get(&WorkerExit::Signal(9)).copied().unwrap_or_default();
    assert!(killed >= 50, "{killed} workers ended by the signal: {:?}", workers.lost);
}

/// Checks one target by every worker there is, until it is killed.
fn coordinate(target: &str) -> ExitCode {
    let target: SocketAddr = target.parse().expect("an address");
    let config =
        Config { method: Method::Processes, workers: Some(4), per_host: None, ..Config::default() };
    let outcomes = checker(config).check(vec![Target::from(target); 4]).expect("it starts");
    ExitCode::from(u8::try_from(outcomes.count()).unwrap_or(u8::MAX))
}

fn no_worker_outlives_its_coordinator() {
    // Whoever connects to a full backlog waits until its time is up.
    let full = processes::full_backlog();
    let endpoint = full.0.local_addr().expect("it is bound");
    let mut coordinator = processes::this(["coordinator", &endpoint.to_string()]);
    let workers = processes::of(coordinator.id(), 4);
    for worker in &workers {
        worker.connects_to(endpoint);
    }
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it was killed");
    for worker in workers {
        // Less than the connects would last.
        assert!(worker.has_ended_within(Duration::from_secs(5)), "{worker:?} is still there");
    }
}
