//! Outcomes as an asynchronous stream: when its task is woken, and how the stream ends.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use futures_core::{FusedStream, Stream};
use portmuster::{Checker, Config, Outcome, OutcomesStream, Target};
use portmuster_lab::{Behaviour, Server};
use tokio_stream::StreamExt;

#[path = "shared/settings.rs"]
mod settings;

/// The time after which a wake-up counts as missing.
const WAKE_MAX: Duration = Duration::from_secs(30);

/// Outcomes that a stream returns before it lets other tasks run.
const BURST_MAX: usize = 128;

fn server(behaviour: Behaviour) -> Server {
    Server::start(behaviour, (Ipv4Addr::LOCALHOST, 0).into()).expect("the server starts")
}

fn stream<I>(targets: I) -> OutcomesStream
where
    I: IntoIterator<Item: Into<Target>, IntoIter: Send + 'static>,
{
    let checker = Checker::new(settings::unthrottled().build().expect("the settings are valid"));
    checker.check(targets).expect("the run starts").into_stream()
}

/// Returns loopback targets that refuse connections: nothing listens on port 1.
fn refused(targets: u32) -> impl Iterator<Item = (Ipv4Addr, u16)> + Send {
    (0..targets).map(|nth| (Ipv4Addr::from(0x7F20_0000 + nth), 1))
}

/// Runs a future on an executor with one thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let executor = tokio::runtime::Builder::new_current_thread().build();
    executor.expect("an executor without drivers starts").block_on(future)
}

/// A task that polls only when it was woken, and counts.
struct Task {
    waker: Waker,
    wakes: Arc<Wakes>,
    woken: Receiver<()>,
}

/// Counts the wake-ups of a task, and passes on one until the task takes it.
struct Wakes {
    count: AtomicUsize,
    sender: SyncSender<()>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        // Full if the task has not taken the last one.
        let _ = self.sender.try_send(());
    }
}

impl Task {
    fn new() -> Self {
        let (sender, woken) = sync_channel(1);
        let wakes = Arc::new(Wakes { count: AtomicUsize::new(0), sender });
        Self { waker: Waker::from(Arc::clone(&wakes)), wakes, woken }
    }

    fn poll(&self, stream: &mut OutcomesStream) -> Poll<Option<Outcome>> {
        Pin::new(stream).poll_next(&mut Context::from_waker(&self.waker))
    }

    fn wait(&self) {
        self.woken.recv_timeout(WAKE_MAX).expect("the stream wakes its task");
    }

    /// Polls, and after each `Pending` only when woken.
    fn next(&self, stream: &mut OutcomesStream) -> Option<Outcome> {
        loop {
            if let Poll::Ready(outcome) = self.poll(stream) {
                return outcome;
            }
            self.wait();
        }
    }

    fn wakes(&self) -> u128 {
        self.wakes.count.load(Ordering::Relaxed) as u128
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "real runs are in real time")]
fn task_is_woken_for_outcomes_accounts_and_the_end_only() {
    const OUTCOMES: u64 = 5;

    let start = Instant::now();
    let refused = server(Behaviour::Refused);
    let (targets, blocked) = sync_channel::<SocketAddr>(1);
    let mut stream = stream(blocked);
    let task = Task::new();
    for position in 0..OUTCOMES {
        assert!(task.poll(&mut stream).is_pending(), "no target has an outcome yet");
        targets.send(refused.endpoint()).expect("the run takes targets");
        task.wait();
        let outcome = task.next(&mut stream).expect("the run has not ended");
        assert_eq!(outcome.position, position);
    }
    assert!(task.poll(&mut stream).is_pending() && !stream.is_terminated());
    drop(targets);
    task.wait();
    assert_eq!(task.next(&mut stream), None);
    assert!(stream.is_terminated());
    assert_eq!(task.next(&mut stream), None, "the stream is fused");
    assert_eq!(stream.get_ref().account().targets, OUTCOMES);
    // A run that has no outcomes sends its account every half second. The last account and the end of
    // the run wake the task, too.
    let accounts = start.elapsed().as_millis() / 500;
    assert!(task.wakes() <= u128::from(OUTCOMES) + accounts + 2, "{} wakes", task.wakes());
}

#[test]
fn stream_returns_each_outcome_once() {
    let mut stream = stream(refused(20_000));
    let task = Task::new();
    let mut hosts = HashSet::new();
    while let Some(outcome) = task.next(&mut stream) {
        assert!(hosts.insert(outcome.target.host), "a target came twice");
    }
    assert_eq!(hosts.len(), 20_000);
}

#[test]
fn stream_lets_other_tasks_run_between_bursts() {
    let mut stream = stream(refused(20_000));
    let task = Task::new();
    let (mut burst, mut longest) = (0, 0);
    loop {
        match task.poll(&mut stream) {
            Poll::Ready(None) => break,
            Poll::Ready(Some(_)) => burst += 1,
            Poll::Pending => {
                burst = 0;
                task.wait();
            }
        }
        longest = longest.max(burst);
    }
    assert!((1..=BURST_MAX).contains(&longest), "{longest}");
}

#[test]
fn stream_works_in_an_executor_beside_other_tasks() {
    let open = server(Behaviour::Ssh);
    let outcomes = block_on(async {
        let mut first = stream(refused(3_000));
        let mut second = stream([open.endpoint()]);
        let second = async { second.next().await };
        let first = async {
            let mut count = 0;
            while let Some(outcome) = first.next().await {
                assert!(!outcome.is_open(), "{outcome:?}");
                count += 1;
            }
            count
        };
        tokio::join!(first, second)
    });
    assert_eq!(outcomes.0, 3_000);
    assert!(outcomes.1.is_some_and(|outcome| outcome.is_open()));
}

#[test]
fn endless_input_is_read_only_as_needed() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let targets = std::iter::repeat_with(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        ("127.0.0.1", 1)
    });
    block_on(async {
        let mut stream = stream(targets);
        for _ in 0..5_000 {
            assert!(stream.next().await.is_some(), "the input is endless");
        }
        // Targets that may be taken in advance: the input queue, the prefetched targets, and the
        // batches that wait.
        let taken = taken.load(Ordering::Relaxed);
        assert!((5_000..5_000 + 100_000).contains(&taken), "{taken}");
    });
}

#[test]
fn dropping_the_stream_closes_connections() {
    let silent = server(Behaviour::Silent);
    let config = Config::builder().in_flight(40).per_host(None).build();
    let checker = Checker::new(config.expect("the settings are valid"));
    let endpoint = silent.endpoint();
    block_on(async {
        let outcomes = checker.check(std::iter::repeat(endpoint)).expect("the run starts");
        let mut stream = outcomes.into_stream();
        let task = Task::new();
        assert!(task.poll(&mut stream).is_pending());
        let counts = silent.wait_for(WAKE_MAX, |counts| counts.open > 0);
        assert!(counts.open > 0, "{counts:?}");
        drop(stream);
        let counts = silent.wait_for(WAKE_MAX, |counts| counts.open == 0);
        assert_eq!(counts.open, 0, "{counts:?}");
    });
}

#[test]
fn input_panic_reaches_the_task() {
    let targets = (0..3).map(|index| {
        assert!(index < 2, "the input is broken");
        ("127.0.0.1", 1)
    });
    let mut stream = stream(targets);
    let task = Task::new();
    let consume = || while task.next(&mut stream).is_some() {};
    let panic =
        catch_unwind(AssertUnwindSafe(consume)).expect_err("it is not mistaken for the end");
    assert_eq!(panic.downcast_ref(), Some(&"the input is broken"));
    assert_eq!(task.next(&mut stream), None);
}

#[test]
fn iterator_goes_on_where_the_stream_stopped() {
    let mut stream = stream(refused(1_000));
    let mut hosts = HashSet::new();
    let first = block_on(async { stream.next().await });
    hosts.extend(first.map(|outcome| outcome.target.host));
    hosts.extend(stream.into_inner().map(|outcome| outcome.target.host));
    assert_eq!(hosts.len(), 1_000);
}

#[test]
fn stream_can_move_to_another_thread() {
    fn is_send<T: Send + Unpin + 'static>(_: &T) {}

    is_send(&stream(refused(1)));
}
