//! A plain port checker with tokio: a task for each target, and a semaphore that bounds them.
//!
//! `plain_tokio LIST CONCURRENCY TIMEOUT_MS` prints host, port and `open`, `closed` or `silent` for
//! each line of the list, as soon as it is known. portmuster is measured against it, so it is as
//! fast as a plain program can be: it reads the list at once, and buffers its output.

use std::{
    env, fs,
    io::{BufWriter, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
    time::timeout,
};

/// The most answers that wait to be written.
const ANSWERS: usize = 4096;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [list, concurrency, timeout_ms] = &arguments[..] else {
        bail!("usage: plain_tokio LIST CONCURRENCY TIMEOUT_MS")
    };
    let text = fs::read_to_string(list).with_context(|| format!("reading {list}"))?;
    let targets: Vec<SocketAddr> =
        text.lines().map(str::parse).collect::<Result<_, _>>().context("reading a target")?;
    let within = Duration::from_millis(timeout_ms.parse().context("reading the timeout")?);
    let permits = Semaphore::new(concurrency.parse().context("reading the concurrency")?);
    let (answers, receiver) = mpsc::channel(ANSWERS);
    let writer = tokio::task::spawn_blocking(move || write(receiver));
    let permits = Arc::new(permits);
    for target in targets {
        let permit = Arc::clone(&permits).acquire_owned().await.context("it is never closed")?;
        let answers = answers.clone();
        tokio::spawn(async move {
            let state = check(target, within).await;
            drop(permit);
            // The writer ends early only when it can't write, and then returns the error.
            let _ = answers.send((target, state)).await;
        });
    }
    drop(answers);
    writer.await.context("writing answers")?
}

async fn check(target: SocketAddr, within: Duration) -> &'static str {
    match timeout(within, TcpStream::connect(target)).await {
        Ok(Ok(_)) => "open",
        Ok(Err(_)) => "closed",
        Err(_) => "silent",
    }
}

fn write(mut answers: mpsc::Receiver<(SocketAddr, &'static str)>) -> Result<()> {
    let mut output = BufWriter::new(anstream::stdout());
    while let Some((target, state)) = answers.blocking_recv() {
        writeln!(output, "{} {} {state}", target.ip(), target.port()).context("writing")?;
    }
    output.flush().context("writing")
}
