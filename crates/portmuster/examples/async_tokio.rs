//! Consumes outcomes in an async task, beside other work, and stops the run after a time limit.
//!
//! ```text
//! cargo run -p portmuster --example async_tokio --features stream
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::{error::Error, io::Write, net::TcpListener, thread, time::Duration};

use portmuster::{Checker, Config};
use tokio_stream::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let targets = [("127.0.0.1", ssh_server()?), ("127.0.0.1", 1)];

    // The run has its own threads and needs no executor: any executor can poll the stream.
    let mut outcomes = Checker::new(Config::default()).check(targets)?.into_stream();
    let stopper = outcomes.get_ref().stopper();
    let limit = tokio::time::sleep(Duration::from_secs(30));
    tokio::pin!(limit);

    let mut lines = Vec::new();
    loop {
        tokio::select! {
            outcome = outcomes.next() => match outcome {
                Some(outcome) => {
                    let service = outcome.verdict.service.map_or("no service", |it| it.name());
                    lines.push(format!("{}: {service}", outcome.verdict.state));
                }
                None => break,
            },
            // Attempts in flight get one second; the stream then ends.
            () = &mut limit, if !limit.is_elapsed() => stopper.stop(Duration::from_secs(1)),
        }
    }
    lines.sort();
    println!("{}", lines.join("\n"));
    Ok(())
}

/// Starts a server that greets as ssh servers do, and returns its port.
fn ssh_server() -> Result<u16, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let _ = client.and_then(|mut client| client.write_all(b"SSH-2.0-example\r\n"));
        }
    });
    Ok(port)
}
