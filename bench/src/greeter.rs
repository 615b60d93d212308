//! The other side: a process that greets all who connect and waits until they leave.
//!
//! It listens at every address of a device at once, so that each target can have one of its own;
//! and because it leaves last, what TCP remembers of a connection for a minute is the client's.

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

const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n";

/// Said by one that waits for its devices.
const READY: &str = "ready";

/// Listeners of a thread. The system lets 4,096 wait at one (`net.core.somaxconn`), and a client
/// may have 16,384 connections under way.
const LISTENERS: usize = 8;

/// The same, as the system is asked for it.
const BACKLOG: i32 = 4096;

/// Descriptors kept for all that is no connection: listeners of 64 threads.
const RESERVE: u64 = 1024;

/// Accepted at one listener before the next is looked at.
const BURST: usize = 64;

/// Most have left after so long.
const SOON: Duration = Duration::from_millis(200);

/// Nobody is waited for longer: more than a conversation may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between looks at those who have not left yet.
const LOOK: Duration = Duration::from_millis(1);

/// Where one greets, and how much is said.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The device whose packets are taken, and nobody else's
    #[arg(long, value_name = "NAME", default_value = "lo")]
    pub(crate) device: String,
    /// The port; 0 is any that servers have
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// Offer algorithms, too, as an ssh server does
    #[arg(long)]
    pub(crate) offer: bool,
    /// Say so, and wait for an empty line before listening
    #[arg(long)]
    pub(crate) wait: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self { device: "lo".into(), port: 0, offer: false, wait: false }
    }
}

/// A greeter that runs. Its end comes with this handle's.
#[derive(Debug)]
pub(crate) struct Greeter {
    process: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Greeter {
    /// # Errors
    /// It can't be started or can't listen.
    pub(crate) fn start(place: &Place) -> Result<Self> {
        let program = env::current_exe().context("asking where this program is")?;
        let mut greeter = Self::starting(&mut Command::new(program), place)?;
        greeter.has_port()?;
        Ok(greeter)
    }

    /// One in a network namespace of its own, which has no devices yet. It waits for
    /// [`listen`](Self::listen).
    ///
    /// # Errors
    /// It can't be started.
    pub(crate) fn start_apart(place: &Place) -> Result<Self> {
        let program = env::current_exe().context("asking where this program is")?;
        let mut unshare = Command::new("unshare");
        let place = Place { wait: true, ..place.clone() };
        let mut greeter = Self::starting(unshare.args(["--net", "--"]).arg(program), &place)?;
        let line = greeter.line()?;
        ensure!(line == READY, "the greeter said {line:?} instead of {READY:?}");
        Ok(greeter)
    }

    /// Listens, now that the devices are there.
    ///
    /// # Errors
    /// It can't.
    pub(crate) fn listen(&mut self) -> Result<()> {
        let stdin = self.process.stdin.as_mut().context("its stdin is a pipe")?;
        stdin.write_all(b"\n").context("telling a greeter to listen")?;
        self.has_port()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn starting(command: &mut Command, place: &Place) -> Result<Self> {
        command.arg("greeter").args(["--device", &place.device]);
        command.args(["--port", &place.port.to_string()]);
        for (flag, is_wanted) in [("--offer", place.offer), ("--wait", place.wait)] {
            if is_wanted {
                command.arg(flag);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("starting a greeter")?;
        let stdout = BufReader::new(process.stdout.take().context("its stdout is a pipe")?);
        Ok(Self { process, stdout, port: 0 })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("listening to a greeter")?;
        Ok(line.trim().to_owned())
    }

    fn has_port(&mut self) -> Result<()> {
        self.port = self.line()?.parse().context("the greeter has not told its port")?;
        Ok(())
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The inside of that process: greets until stdin ends.
///
/// # Errors
/// It can't listen.
pub(crate) fn serve(place: &Place) -> Result<()> {
    if place.wait {
        writeln!(anstream::stdout(), "{READY}").context("telling that it is there")?;
        std::io::stdin().read_exact(&mut [0]).context("waiting for devices")?;
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let held_max = held_max(threads);
    let greeting = if place.offer { [GREETING, &offer()].concat() } else { GREETING.to_vec() };
    let greeting: &'static [u8] = greeting.leak();
    let port = if place.port == 0 { free_port()? } else { place.port };
    for nth in 0..threads {
        let mut listeners = Vec::new();
        for _ in 0..LISTENERS {
            let listener = listen(&place.device, port)
                .with_context(|| format!("listening on {}", place.device))?;
            listeners.push(listener);
        }
        let name = format!("greeter-{nth}");
        thread::Builder::new()
            .name(name)
            .spawn(move || Greetings::new(greeting, listeners, held_max).run())
            .context("starting a thread")?;
    }
    writeln!(anstream::stdout(), "{port}").context("telling the port")?;
    // Nothing comes: it ends with the one who started this.
    std::io::stdin().read_to_end(&mut Vec::new()).context("waiting for the end")?;
    Ok(())
}

/// A port that nobody has. It lies below those that the system gives to connections (32,768 and
/// up), as the ports of servers do: who connects to one of these has to ask whether it has reached
/// itself.
fn free_port() -> Result<u16> {
    // Not the same for all: whoever looks at the same time finds another.
    let first = u16::try_from(process::id() % 20_000).unwrap_or_default();
    let mut ports = (0..20_000).map(|nth| 10_000 + (first + nth) % 20_000);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.find(is_free).context("no port from 10,000 to 29,999 is free")
}

/// Connections that a thread may hold, when this process is given all that it can have.
fn held_max(threads: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    // Without a limit, what is under way at a client's bounds them.
    let room = limit.current.map_or(usize::MAX, |room| {
        usize::try_from(room.saturating_sub(RESERVE)).unwrap_or(usize::MAX)
    });
    (room / threads).max(1)
}

/// The first packet of an ssh server after its identification (RFC 4253, sections 6 and 7.1): one
/// algorithm of each kind.
fn offer() -> Vec<u8> {
    const ALGORITHMS: [&str; 10] = [
        "curve25519-sha256",
        "ssh-ed25519",
        "aes256-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "none",
        "none",
        "",
        "",
    ];
    let mut payload = vec![20; 17];
    for names in ALGORITHMS {
        payload.extend(u32::try_from(names.len()).unwrap_or(0).to_be_bytes());
        payload.extend(names.as_bytes());
    }
    // No packet follows that was guessed, and nothing is reserved.
    payload.extend([0; 5]);
    // At least four bytes, up to a multiple of eight with the five before the payload.
    let padding = 4 + (8 - (5 + payload.len() + 4) % 8) % 8;
    let length = u32::try_from(1 + payload.len() + padding).unwrap_or(0);
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap_or(0));
    packet.extend(payload);
    packet.extend(vec![0; padding]);
    packet
}

/// A listener at every address of a device; they share what comes for their port.
fn listen(device: &str, port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let device = Some(device.as_bytes());
    socket.bind_device(device)?;
    ensure!(socket.device()?.as_deref() == device, "it would listen to other machines");
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What one thread serves.
struct Greetings {
    greeting: &'static [u8],
    listeners: Vec<TcpListener>,
    /// Those who were greeted and have not been seen leaving, the first to come first.
    held: VecDeque<Held>,
    /// Those who stay longer than most, the one who was not looked at for longest first.
    staying: VecDeque<Held>,
    /// Of all of them at most; others wait until one of these has left.
    held_max: usize,
}

/// One who was greeted, and when.
struct Held {
    stream: TcpStream,
    since: Instant,
}

impl Held {
    /// Whether nothing has come of it yet, nor its end.
    fn is_there(&self) -> bool {
        let flags = RecvFlags::DONTWAIT;
        rustix::net::recv(&self.stream, &mut [0; 1024], flags) == Err(Errno::AGAIN)
    }
}

#[expect(clippy::disallowed_methods, reason = "no simulator owns the time of servers")]
fn now() -> Instant {
    Instant::now()
}

impl Greetings {
    fn new(greeting: &'static [u8], listeners: Vec<TcpListener>, held_max: usize) -> Self {
        let (held, staying) = (VecDeque::new(), VecDeque::new());
        Self { greeting, listeners, held, staying, held_max }
    }

    fn run(mut self) -> Result<()> {
        loop {
            let came = self.greet();
            let left = self.let_go();
            if !came && !left {
                self.wait()?;
            }
        }
    }

    /// How many more may come.
    fn room(&self) -> usize {
        self.held_max.saturating_sub(self.held.len() + self.staying.len())
    }

    /// Greets those who have come; false when nobody has.
    fn greet(&mut self) -> bool {
        let (before, since) = (self.held.len(), now());
        for listener in &self.listeners {
            for _ in 0..BURST.min(self.room()) {
                let Ok((stream, _)) = listener.accept() else { break };
                // Who has gone again shows when it is let go.
                let _ = rustix::net::send(&stream, self.greeting, SendFlags::NOSIGNAL);
                self.held.push_back(Held { stream, since });
            }
        }
        self.held.len() > before
    }

    /// Closes the first of those who have left; false when it stays.
    fn let_go(&mut self) -> bool {
        let (before, now) = (self.room(), now());
        while let Some(first) = self.held.pop_front() {
            if first.is_there() {
                // One that stays holds up nobody behind it.
                if now.saturating_duration_since(first.since) < SOON {
                    self.held.push_front(first);
                    break;
                }
                self.staying.push_back(first);
            }
        }
        for _ in 0..BURST.min(self.staying.len()) {
            let Some(held) = self.staying.pop_front() else { break };
            // Whose last packet was lost never leaves.
            if held.is_there() && now.saturating_duration_since(held.since) < PATIENCE {
                self.staying.push_back(held);
            }
        }
        self.room() > before
    }

    /// Waits until somebody comes, or may have left.
    fn wait(&self) -> Result<()> {
        let mut polled: Vec<_> =
            self.listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        let listened = if self.room() > 0 { &mut polled[..] } else { &mut [] };
        let is_any = !self.held.is_empty() || !self.staying.is_empty();
        let look = Timespec::try_from(LOOK).context("it is short")?;
        poll(listened, is_any.then_some(&look)).context("waiting")?;
        Ok(())
    }
}
