//! Fails if telnet is left, or if it can't be ruled out: a gate for a scheduled job.
//!
//! A port is free of telnet if it refuses connections, or if its bytes prove another service. Silence,
//! a prompt without telnet commands and a target that this machine could not check prove nothing, so
//! they fail the gate too.
//!
//! ```text
//! cargo run --example gate
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::{error::Error, io::Write, net::TcpListener, process::ExitCode, thread};

use portmuster::{Checker, Config, Outcome, PortState, Reason, Service};

/// Returns whether the outcome proves that the port does not support telnet.
fn is_free_of_telnet(outcome: &Outcome) -> bool {
    match outcome.verdict.state {
        // Other reasons mean that only some of the addresses of a name refused.
        PortState::Closed => outcome.verdict.reason == Reason::Refused,
        PortState::Open => {
            matches!(outcome.verdict.service, Some(Service::Ssh | Service::Other))
        }
        _ => false,
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let telnet = server(b"\xff\xfd\x18\xff\xfd\x20login: ")?;
    let ssh = server(b"SSH-2.0-example\r\n")?;

    let mut left = 0;
    let outcomes = Checker::new(Config::default())?;
    for outcome in outcomes.check([("127.0.0.1", telnet), ("127.0.0.1", ssh), ("127.0.0.1", 1)])? {
        if !is_free_of_telnet(&outcome) {
            left += 1;
            let service = outcome.verdict.service.map_or("no service", Service::name);
            println!("not free of telnet: {} ({service})", outcome.target.host);
        }
    }
    println!("{left} of 3 targets fail the gate");
    // A real gate returns 1 here. This example starts the telnet server itself, so it expects one.
    Ok(ExitCode::from(u8::from(left != 1)))
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
