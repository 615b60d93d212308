//! Dropping the outcomes half-way stops everything. Alone in its file, because it counts the
//! threads and the descriptors of its process.

use std::{fs, net::Ipv4Addr, process::ExitCode, time::Duration};

use portmuster::{Config, Method};
use portmuster_lab::{Behaviour, Server};

#[path = "shared/worker.rs"]
mod worker;

use self::worker::checker;

fn main() -> ExitCode {
    worker::main(worker::trials![a_dropped_run_leaves_no_connection_no_thread_and_no_descriptor,])
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("the system tells").count()
}

fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("the system tells");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("portmuster-") && !name.starts_with("portmuster-lab"))
        .collect()
}

/// What this process has open, and which threads of portmuster's run in it.
fn held() -> (usize, Vec<String>) {
    (descriptors(), threads())
}

/// Waits until this process holds this much. The lab's servers are in it, too, and may take a
/// connection out of their queue when its client is gone already; and the system lists a thread for
/// a moment after it was joined.
fn wait_until_held(server: &Server, expected: &(usize, Vec<String>), method: Method) {
    const LOOKS_MAX: usize = 1000;

    for _ in 0..LOOKS_MAX {
        if held() == *expected {
            return;
        }
        server.wait_for(Duration::from_millis(20), |_| false);
    }
    panic!("{method}: {:?} is held instead of {expected:?}", held());
}

fn a_dropped_run_leaves_no_connection_no_thread_and_no_descriptor() {
    let silent =
        Server::start(Behaviour::Silent, (Ipv4Addr::LOCALHOST, 0).into()).expect("it starts");
    let greeting =
        Server::start(Behaviour::Ssh, (Ipv4Addr::LOCALHOST, 0).into()).expect("it starts");
    let before = held();
    for method in Method::ALL {
        let config = Config { method, in_flight: 40, per_host: None, ..Config::default() };
        let targets =
            std::iter::once(greeting.endpoint()).chain(std::iter::repeat(silent.endpoint()));
        let mut outcomes = checker(config).check(targets).expect("the run starts");
        assert!(outcomes.next().is_some_and(|outcome| outcome.is_open()), "{method}");
        let limit = Duration::from_secs(20);
        assert!(silent.wait_for(limit, |counts| counts.open > 0).open > 0, "{method}");
        drop(outcomes);
        let after = silent.wait_for(limit, |counts| counts.open == 0);
        assert_eq!(after.open, 0, "{method}");
        let after = greeting.wait_for(limit, |counts| counts.open == 0);
        assert_eq!(after.open, 0, "{method}");
        wait_until_held(&silent, &before, method);
    }
}
