//! Fails if telnet is left, or if it can't be ruled out: a gate for a scheduled job.
//!
//! A port is free of telnet if it refuses connections, or if its bytes prove another service. Silence,
//! a prompt without telnet commands and a target that this machine could not check prove nothing, so
//! they fail the gate too.
//!
//! ```text
//! cargo run -p portmuster --example gate
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::{error::Error, io::Write, net::TcpListener, process::ExitCode, thread};

use portmuster::{
    Checker, Config, Service,
    gates::{Gates, RunTotals},
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let telnet = server(b"\xff\xfd\x18\xff\xfd\x20login: ")?;
    let ssh = server(b"SSH-2.0-example\r\n")?;
    let targets = [("127.0.0.1", telnet), ("127.0.0.1", ssh), ("127.0.0.1", 1)];
    let total = targets.len() as u128;

    let mut gates = Gates::new([Service::Telnet]).requiring_verdicts([]);
    let mut outcomes = Checker::new(Config::default()).check(targets)?;
    for outcome in &mut outcomes {
        gates.add(&outcome);
    }
    let report = gates.report(&RunTotals::new(outcomes.account(), Some(total)));
    for item in &report.items {
        println!("{} on {}, absent on {} of {total}", item.item, item.found.count, item.absent);
    }
    // A real gate fails if it is violated. This example starts the telnet server itself, so that it
    // must be.
    Ok(if report.is_violated() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts a server that sends this greeting, and returns its port.
fn server(greeting: &'static [u8]) -> Result<u16, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let _ = client.and_then(|mut client| client.write_all(greeting));
        }
    });
    Ok(port)
}
