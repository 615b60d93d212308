//! Dropping the outcomes early stops the whole run.
//!
//! The test has a file of its own because it counts the threads and descriptors of its process.

use std::{fs, net::Ipv4Addr, process::ExitCode, time::Duration};

use portmuster::{Config, Method};
use portmuster_lab::{Behaviour, Server};

#[path = "shared/limit.rs"]
mod limit;
#[path = "shared/worker.rs"]
mod worker;

use self::{limit::LIMIT, worker::checker};

fn main() -> ExitCode {
    worker::main(worker::trials![dropped_run_leaves_no_connection_thread_or_descriptor,])
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs is mounted").count()
}

fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs is mounted");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("portmuster-") && !name.starts_with("portmuster-lab"))
        .collect()
}

/// Returns the number of open descriptors and the names of portmuster's threads in this process.
fn resources() -> (usize, Vec<String>) {
    (descriptors(), threads())
}

/// Waits until this process uses exactly these resources. The lab's servers run in this process too
/// and may accept a connection after its client has gone, and the system lists a thread for a
/// moment after it was joined.
fn wait_for_resources(server: &Server, expected: &(usize, Vec<String>), method: Method) {
    const INTERVAL: Duration = Duration::from_millis(20);

    for _ in 0..LIMIT.as_millis() / INTERVAL.as_millis() {
        if resources() == *expected {
            return;
        }
        server.wait_for(INTERVAL, |_| false);
    }
    panic!("{method}: {:?} are in use instead of {expected:?}", resources());
}

fn dropped_run_leaves_no_connection_thread_or_descriptor() {
    let silent = Server::start(Behaviour::Silent, (Ipv4Addr::LOCALHOST, 0).into())
        .expect("the server starts");
    let greeting =
        Server::start(Behaviour::Ssh, (Ipv4Addr::LOCALHOST, 0).into()).expect("the server starts");
    let before = resources();
    for method in Method::ALL {
        let settings = Config::builder().method(method).in_flight(40).per_host(None);
        let targets =
            std::iter::once(greeting.endpoint()).chain(std::iter::repeat(silent.endpoint()));
        let mut outcomes = checker(settings).check(targets).expect("the run starts");
        assert!(outcomes.next().is_some_and(|outcome| outcome.is_open()), "{method}");
        assert!(silent.wait_for(LIMIT, |counts| counts.open > 0).open > 0, "{method}");
        drop(outcomes);
        let after = silent.wait_for(LIMIT, |counts| counts.open == 0);
        assert_eq!(after.open, 0, "{method}");
        let after = greeting.wait_for(LIMIT, |counts| counts.open == 0);
        assert_eq!(after.open, 0, "{method}");
        wait_for_resources(&silent, &before, method);
    }
}
