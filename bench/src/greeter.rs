//! A server process that greets all clients and waits until they disconnect.
//!
//! It listens at every address of a device, so that each target has an address of its own. It
//! closes last, so that TIME-WAIT is the client's.

use std::{
    collections::VecDeque,
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{self, Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendFlags},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::arguments::cores;

const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n";

/// Algorithms of the KEXINIT, one for each of its first eight lists.
const ALGORITHMS: &str = "curve25519-sha256 ssh-ed25519 \
    aes256-gcm@openssh.com aes256-gcm@openssh.com \
    hmac-sha2-256-etm@openssh.com hmac-sha2-256-etm@openssh.com none none";

/// Listeners of a thread. The system queues 4,096 connections at each (`net.core.somaxconn`), and a
/// client may have 16,384 in progress.
const LISTENERS: usize = 8;
const BACKLOG: i32 = 4096;

/// Connections to accept at one listener before the next.
const BURST: usize = 64;

/// Most clients disconnect within this time.
const SHORT_STAY: Duration = Duration::from_millis(200);

/// A client that stays longer is disconnected: no conversation takes so long.
const LONGEST_STAY: Duration = Duration::from_secs(30);

/// Interval between checks for clients that disconnected.
const INTERVAL: Duration = Duration::from_millis(1);

/// Options of the hidden subcommand `greeter`.
#[derive(Debug, Clone, Args)]
pub(crate) struct GreeterOptions {
    /// The device whose connections are accepted
    #[arg(long, value_name = "NAME")]
    device: String,
    /// The port; 0 chooses a free one
    #[arg(long, value_name = "PORT")]
    port: u16,
    /// Send a KEXINIT, too
    #[arg(long)]
    kexinit: bool,
}

/// A running greeter. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Greeter {
    process: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Greeter {
    /// Starts a greeter on loopback, at a free port.
    pub(crate) fn start() -> Result<Self> {
        let mut command = Command::new(env::current_exe().context("finding this program")?);
        let mut greeter = Self::spawn(command.args(["greeter", "--device=lo", "--port=0"]))?;
        greeter.listen()?;
        Ok(greeter)
    }

    /// Starts a greeter in a network namespace of its own, which sends a KEXINIT, too. It listens
    /// after [`listen`](Self::listen), when its device exists.
    pub(crate) fn start_remote(device: &str, port: u16) -> Result<Self> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--"]).arg(env::current_exe().context("finding this program")?);
        unshare.args(["greeter", "--kexinit", "--device", device, "--port", &port.to_string()]);
        Self::spawn(&mut unshare)
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("starting a greeter")?;
        let stdout = BufReader::new(process.stdout.take().context("its stdout is a pipe")?);
        let mut greeter = Self { process, stdout, port: 0 };
        let line = greeter.read_line()?;
        ensure!(line == "ready", "the greeter printed {line:?} instead of \"ready\"");
        Ok(greeter)
    }

    /// Makes the greeter listen.
    pub(crate) fn listen(&mut self) -> Result<()> {
        let stdin = self.process.stdin.as_mut().context("its stdin is a pipe")?;
        stdin.write_all(b"\n").context("making a greeter listen")?;
        self.port = self.read_line()?.parse().context("the greeter printed no port")?;
        Ok(())
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("reading from a greeter")?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Prints `ready`, waits for a line on stdin, listens, prints the port, and greets clients until
/// stdin ends.
pub(crate) fn run(options: &GreeterOptions) -> Result<()> {
    let (mut stdin, mut stdout) = (std::io::stdin(), anstream::stdout());
    writeln!(stdout, "ready")?;
    stdin.read_exact(&mut [0]).context("waiting for the device")?;
    let kexinit = if options.kexinit { kexinit() } else { Vec::new() };
    let greeting: &'static [u8] = [GREETING, &kexinit].concat().leak();
    let port = if options.port == 0 { free_port()? } else { options.port };
    // Without enough descriptors, clients wait in the backlog.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    for nth in 0..cores() {
        let listeners = (0..LISTENERS).map(|_| listen(&options.device, port));
        let listeners = listeners.collect::<Result<_>>();
        let listeners = listeners.with_context(|| format!("listening on {}", options.device))?;
        let server = Server { greeting, listeners, clients: VecDeque::new() };
        thread::Builder::new().name(format!("greeter-{nth}")).spawn(move || server.run())?;
    }
    writeln!(stdout, "{port}")?;
    // Stdin stays empty and ends with the parent.
    stdin.read_to_end(&mut Vec::new()).context("waiting for the end")?;
    Ok(())
}

/// A free port below the system's ports for connections (32,768 and up), as those of servers are.
/// A client that connects to one of the higher ports must ask whether it has reached itself.
pub(crate) fn free_port() -> Result<u16> {
    // Processes that search at the same time start at different ports.
    let first = u16::try_from(process::id() % 20_000).unwrap_or_default();
    let mut ports = (0..20_000).map(|nth| 10_000 + (first + nth) % 20_000);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.find(is_free).context("no port from 10,000 to 29,999 is free")
}

/// An ssh server's first packet after its identification (RFC 4253, sections 6 and 7.1).
fn kexinit() -> Vec<u8> {
    let u32 = |length: usize| u32::try_from(length).unwrap_or(0).to_be_bytes();
    // The message number, and a cookie of 16 bytes.
    let mut payload = vec![20; 17];
    // Two empty lists of languages follow.
    for names in ALGORITHMS.split(' ').chain(["", ""]) {
        payload.extend(u32(names.len()));
        payload.extend(names.as_bytes());
    }
    // No guessed packet follows, and four bytes are reserved.
    payload.extend([0; 5]);
    // At least four bytes, up to a multiple of eight together with the five before the payload.
    let padding = 4 + (8 - (5 + payload.len() + 4) % 8) % 8;
    let length = u32(1 + payload.len() + padding);
    [&length[..], &[u8::try_from(padding).unwrap_or(0)], &payload, &vec![0; padding]].concat()
}

/// A listener at every address of a device. Several listeners share the connections of one port.
pub(crate) fn listen(device: &str, port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let device = Some(device.as_bytes());
    socket.bind_device(device)?;
    ensure!(socket.device()?.as_deref() == device, "other machines could connect");
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The listeners and the clients of one thread.
struct Server {
    greeting: &'static [u8],
    listeners: Vec<TcpListener>,
    /// Greeted clients in order of arrival, and again those that stay longer than most.
    clients: VecDeque<Client>,
}

/// A client, and when it was greeted.
struct Client {
    stream: TcpStream,
    since: Instant,
}

impl Client {
    /// Whether the client is still connected and has sent nothing.
    fn is_connected(&self) -> bool {
        let flags = RecvFlags::DONTWAIT;
        rustix::net::recv(&self.stream, &mut [0; 1024], flags) == Err(Errno::AGAIN)
    }
}

#[expect(clippy::disallowed_methods, reason = "no simulator owns the time of servers")]
fn now() -> Instant {
    Instant::now()
}

impl Server {
    fn run(mut self) -> Result<()> {
        loop {
            let has_accepted = self.accept();
            let has_closed = self.close();
            if !has_accepted && !has_closed {
                self.wait()?;
            }
        }
    }

    /// Accepts and greets new clients; false when there are none.
    fn accept(&mut self) -> bool {
        let (before, since) = (self.clients.len(), now());
        for listener in &self.listeners {
            for _ in 0..BURST {
                let Ok((stream, _)) = listener.accept() else { break };
                // `close` notices a client that has disconnected already.
                let _ = rustix::net::send(&stream, self.greeting, SendFlags::NOSIGNAL);
                self.clients.push_back(Client { stream, since });
            }
        }
        self.clients.len() > before
    }

    /// Closes the connections of clients that disconnected; false when there are none.
    fn close(&mut self) -> bool {
        let (before, now) = (self.clients.len(), now());
        for _ in 0..(LISTENERS * BURST).min(before) {
            let Some(client) = self.clients.pop_front() else { break };
            if client.is_connected() {
                let stay = now.saturating_duration_since(client.since);
                if stay < SHORT_STAY {
                    self.clients.push_front(client);
                    break;
                }
                // A client that stays must not hold up those behind it; one whose last packet was
                // lost seems connected for ever.
                if stay < LONGEST_STAY {
                    self.clients.push_back(client);
                }
            }
        }
        self.clients.len() < before
    }

    /// Waits for a client to connect, or for the next check of connected clients.
    fn wait(&self) -> Result<()> {
        let mut polled: Vec<_> =
            self.listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        let interval = Timespec::try_from(INTERVAL).context("the interval is short")?;
        poll(&mut polled, (!self.clients.is_empty()).then_some(&interval)).context("waiting")?;
        Ok(())
    }
}
