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

fn a_dropped_run_leaves_no_connection_no_thread_and_no_descriptor() {
    let silent =
        Server::start(Behaviour::Silent, (Ipv4Addr::LOCALHOST, 0).into()).expect("it starts");
    let greeting =
        Server::start(Behaviour::Ssh, (Ipv4Addr::LOCALHOST, 0).into()).expect("it starts");
    for method in Method::ALL {
        let (before, threads_before) = (descriptors(), threads());
        let config = Config { method, in_flight: 40, per_host: None, ..Config::default() };
        let targets =
            std::iter::once(greeting.endpoint()).chain(std::iter::repeat(silent.endpoint()));
        let mut outcomes = checker(config).check(targets).expect("the run starts");
        assert!(outcomes.next().is_some_and(|outcome| outcome.is_open()), "{method}");
        let limit = Duration::from_secs(20);
        assert!(silent.wait_for(limit, |counts| counts.open > 0).open > 0, "{method}");
        drop(outcomes);
        assert_eq!(threads(), threads_before, "{method}");
        let after = silent.wait_for(limit, |counts| counts.open == 0);
        assert_eq!(after.open, 0, "{method}");
        let after = greeting.wait_for(limit, |counts| counts.open == 0);
        assert_eq!(after.open, 0, "{method}");
        assert_eq!(descriptors(), before, "{method}");
    }
}
