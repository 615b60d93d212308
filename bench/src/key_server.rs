//! A server process that answers the key exchange of each client, and waits until it disconnects.
//!
//! It listens at every address of loopback, so that each target has an address of its own. All of them have
//! the host key of the lab.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use portmuster_lab::KeyExchange;

use crate::greeter;

/// Connections that are served at the same time; others wait in the backlog.
const THREADS: usize = 64;

/// A client that is silent for longer is disconnected.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes that a client sends before its public value: an identification and one packet (RFC 4253
/// §6.1).
const RECEIVED_MAX: usize = 40_000;

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct KeyServer {
    process: Child,
    pub(crate) port: u16,
}

impl KeyServer {
    /// Starts a server at a free port.
    pub(crate) fn start() -> Result<Self> {
        let mut command = Command::new(env::current_exe().context("finding this program")?);
        let command = command.arg("key-server").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("starting a key server")?;
        let stdout = process.stdout.take().context("its stdout is a pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("reading from a key server")?;
        let port = line.trim().parse();
        let port = port.with_context(|| format!("the key server printed {line:?}, no port"));
        Ok(Self { process, port: port? })
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Prints its port, and serves clients until stdin ends.
pub(crate) fn run() -> Result<()> {
    let port = greeter::free_port()?;
    let listener = greeter::listen("lo", port).context("listening on lo")?;
    listener.set_nonblocking(false)?;
    for nth in 0..THREADS {
        let listener = listener.try_clone()?;
        thread::Builder::new().name(format!("key-server-{nth}")).spawn(move || serve(&listener))?;
    }
    writeln!(anstream::stdout(), "{port}")?;
    // Stdin stays empty and ends with the parent.
    std::io::stdin().read_to_end(&mut Vec::new()).context("waiting for the end")?;
    Ok(())
}

fn serve(listener: &TcpListener) {
    let greeting = KeyExchange::greeting();
    for client in listener.incoming().flatten() {
        // A client that hangs up early is the business of the program that is measured.
        let _ = exchange(client, &greeting);
    }
}

fn exchange(mut client: TcpStream, greeting: &[u8]) -> Result<()> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(greeting)?;
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = client.read(&mut buffer)?;
        ensure!(length > 0 && received.len() < RECEIVED_MAX, "the client sent no public value");
        received.extend_from_slice(&buffer[..length]);
        if let Some(answer) = KeyExchange::answer(&received) {
            client.write_all(&answer)?;
            break;
        }
    }
    // The client closes first, so that TIME-WAIT is its own.
    while client.read(&mut buffer)? > 0 {}
    Ok(())
}
