//! The other side: a process that greets all who connect and waits until they leave.
//!
//! It listens at every address of loopback at once, so that each target can have one of its own;
//! and because it leaves last, what TCP remembers of a connection for a minute is the client's.

use std::{
    collections::VecDeque,
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendFlags},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use socket2::{Domain, Protocol, Socket, Type};

const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n";

/// The loopback device: nobody else's packets are taken.
const DEVICE: &[u8] = b"lo";

/// Listeners of a thread. The system lets 4,096 wait at one (`net.core.somaxconn`), and a client
/// may have 16,384 connections under way.
const LISTENERS: usize = 8;

/// The same, as the system is asked for it.
const BACKLOG: i32 = 4096;

/// Descriptors kept for all that is no connection: listeners of 64 threads.
const RESERVE: u64 = 1024;

/// Accepted at one listener before the next is looked at.
const BURST: usize = 64;

/// Between looks at those who have not left yet.
const LOOK: Duration = Duration::from_millis(1);

/// A greeter that runs. Its end comes with this handle's.
#[derive(Debug)]
pub(super) struct Greeter {
    process: Child,
    pub(super) port: u16,
}

impl Greeter {
    /// # Errors
    /// It can't be started or can't listen.
    pub(super) fn start() -> Result<Self> {
        let program = env::current_exe().context("asking where this program is")?;
        let mut command = Command::new(program);
        command.arg("greeter").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("starting a greeter")?;
        let stdout = process.stdout.take().context("its stdout is a pipe")?;
        let mut greeter = Self { process, port: 0 };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("asking a greeter for its port")?;
        greeter.port = line.trim().parse().context("the greeter has not told its port")?;
        Ok(greeter)
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
pub(crate) fn serve() -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let held_max = held_max(threads);
    let mut port = 0;
    for nth in 0..threads {
        let mut listeners = Vec::new();
        for _ in 0..LISTENERS {
            let listener = listen(port).context("listening on loopback")?;
            port = listener.local_addr().context("asking for a port")?.port();
            listeners.push(listener);
        }
        let name = format!("greeter-{nth}");
        thread::Builder::new()
            .name(name)
            .spawn(move || Greetings { listeners, held: VecDeque::new(), held_max }.run())
            .context("starting a thread")?;
    }
    writeln!(anstream::stdout(), "{port}").context("telling the port")?;
    // Nothing comes: it ends with the one who started this.
    std::io::stdin().read_to_end(&mut Vec::new()).context("waiting for the end")?;
    Ok(())
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

/// A listener at every address of loopback; they share what comes for their port.
fn listen(port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind_device(Some(DEVICE))?;
    ensure!(socket.device()?.as_deref() == Some(DEVICE), "it would listen to other machines");
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What one thread serves.
struct Greetings {
    listeners: Vec<TcpListener>,
    /// Those who were greeted and have not been seen leaving, the first to come first.
    held: VecDeque<TcpStream>,
    /// Of them at most; others wait until one of these has left.
    held_max: usize,
}

impl Greetings {
    fn run(mut self) -> Result<()> {
        loop {
            let came = self.greet();
            let left = self.let_go();
            if !came && !left {
                self.wait()?;
            }
        }
    }

    /// Greets those who have come; false when nobody has.
    fn greet(&mut self) -> bool {
        let before = self.held.len();
        for listener in &self.listeners {
            for _ in 0..BURST.min(self.held_max.saturating_sub(self.held.len())) {
                let Ok((stream, _)) = listener.accept() else { break };
                // Who has gone again shows when it is let go.
                let _ = rustix::net::send(&stream, GREETING, SendFlags::NOSIGNAL);
                self.held.push_back(stream);
            }
        }
        self.held.len() > before
    }

    /// Closes the first of those who have left; false when it stays.
    fn let_go(&mut self) -> bool {
        let before = self.held.len();
        while let Some(stream) = self.held.front() {
            let flags = RecvFlags::DONTWAIT;
            if rustix::net::recv(stream, &mut [0; 1024], flags) == Err(Errno::AGAIN) {
                break;
            }
            self.held.pop_front();
        }
        self.held.len() < before
    }

    /// Waits until somebody comes, or may have left.
    fn wait(&self) -> Result<()> {
        let mut polled: Vec<_> =
            self.listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        let listened = if self.held.len() < self.held_max { &mut polled[..] } else { &mut [] };
        let look = Timespec::try_from(LOOK).context("it is short")?;
        poll(listened, (!self.held.is_empty()).then_some(&look)).context("waiting")?;
        Ok(())
    }
}
