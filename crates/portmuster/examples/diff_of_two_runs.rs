//! Checks the same targets twice and shows what changed in between: a server was upgraded.
//!
//! ```text
//! cargo run -p portmuster --example diff_of_two_runs
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::{error::Error, io::Write, net::TcpListener, thread};

use portmuster::{
    Checker, Config,
    history::{ChangeSide, Changes, RunResults, read_jsonl},
    sink::{Jsonl, Sink},
};

fn main() -> Result<(), Box<dyn Error>> {
    let port = server_that_is_upgraded()?;
    let targets = [("127.0.0.1", port), ("127.0.0.1", 1)];

    // An earlier run has written its rows to a file, or here to a vector.
    let mut rows = Vec::new();
    let mut sink = Jsonl::new(&mut rows);
    for outcome in Checker::new(Config::default()).check(targets)? {
        sink.write(&outcome)?;
    }
    sink.flush()?;

    let before = read_jsonl(rows.as_slice())?;
    let after: RunResults = Checker::new(Config::default()).check(targets)?.collect();
    for change in Changes::between(before, after) {
        let kinds: Vec<_> = change.kinds.iter().map(|kind| kind.name()).collect();
        let software = |side: Option<&ChangeSide>| {
            side.and_then(|side| side.result.ssh_software.clone()).unwrap_or_default()
        };
        let (old, new) = (software(change.old.as_ref()), software(change.new.as_ref()));
        println!("{}: {old} -> {new}", kinds.join(", "));
    }
    Ok(())
}

/// Starts a server that greets its first client as version 1, later clients as version 2, and returns
/// its port.
fn server_that_is_upgraded() -> Result<u16, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let greetings = std::iter::once("SSH-2.0-example_1\r\n")
            .chain(std::iter::repeat("SSH-2.0-example_2\r\n"));
        for (client, greeting) in listener.incoming().zip(greetings) {
            let _ = client.and_then(|mut client| client.write_all(greeting.as_bytes()));
        }
    });
    Ok(port)
}
