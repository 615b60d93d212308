//! Handles of running servers: a [`Server`] on one port, and a [`Crowd`] of servers with the same
//! behaviour on many ports.
//!
//! - Invariant: dropping a [`Server`] or a [`Crowd`] returns after its thread has ended, within
//!   milliseconds.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::net::{self as sys, AddressFamily, SocketType};

use crate::{
    behaviour::Behaviour,
    error::LabError,
    limits::MAX_CONNECTIONS,
    server_loop::ServerLoop,
    server_policy::ServerPolicy,
    stats::{Counts, Stats},
};

/// The backlog of a listener; the system caps it (`net.core.somaxconn`). With the standard
/// library's 128, a client that starts thousands of connections at once would wait for a repeated
/// SYN.
const BACKLOG: i32 = 4096;

/// Where a server may listen, and how many connections it serves at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Loopback addresses only.
    Loopback,
    /// All addresses of a network namespace from which no packet leaves the machine.
    #[cfg(feature = "link")]
    Namespace,
}

impl Reach {
    fn allows(self, address: SocketAddr) -> bool {
        self != Self::Loopback || address.ip().is_loopback()
    }

    fn max_connections(self) -> usize {
        match self {
            Self::Loopback => MAX_CONNECTIONS,
            #[cfg(feature = "link")]
            Self::Namespace => crate::limits::MAX_LINK_CONNECTIONS,
        }
    }
}

/// A running server. Dropping it stops the server and frees its port.
#[derive(Debug)]
pub struct Server {
    behaviour: Behaviour,
    endpoint: SocketAddr,
    stats: Arc<Stats>,
    _port: PortHolder,
}

/// What occupies the port or ports of a handle until it is dropped.
#[derive(Debug)]
enum PortHolder {
    /// A socket that is bound and does not listen: the system refuses connections, and no other
    /// process can bind the port.
    Bound { _socket: OwnedFd },
    /// A thread that serves connections.
    Serving { stop: UnixStream, thread: Option<JoinHandle<()>> },
}

impl Server {
    /// Starts a server on a loopback address; with port 0, the system picks the port. When this
    /// function returns, the server accepts (or refuses) connections.
    ///
    /// # Errors
    ///
    /// [`LabError::NotLoopback`] for any other address, [`LabError::Listen`] if the address or port
    /// is not available, [`LabError::Thread`] if the system can't start another thread.
    pub fn start(behaviour: Behaviour, bind: SocketAddr) -> Result<Self, LabError> {
        Self::start_within(Reach::Loopback, behaviour, bind)
    }

    /// Starts a server on any address, from a thread of a network namespace from which no packet
    /// leaves the machine.
    #[cfg(feature = "link")]
    pub(crate) fn start_in_namespace(
        behaviour: Behaviour,
        bind: SocketAddr,
    ) -> Result<Self, LabError> {
        Self::start_within(Reach::Namespace, behaviour, bind)
    }

    fn start_within(
        reach: Reach,
        behaviour: Behaviour,
        bind: SocketAddr,
    ) -> Result<Self, LabError> {
        let stats = Arc::new(Stats::default());
        let (port, endpoint) = open_port(reach, behaviour, bind, &stats)?;
        Ok(Self { behaviour, endpoint, stats, _port: port })
    }

    /// What the server does on a connection.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// The endpoint on which it listens, with the port that the system picked.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// The number of connections so far. A connection that a client has just opened may not be
    /// counted yet; see [`Server::wait_for`].
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.counts().accepted
    }

    /// The most connections that were open at the same time. A connection that its client closed
    /// before it opened the next is never counted beside it.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.counts().peak
    }

    /// Returns all counts at one moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.stats.counts()
    }

    /// Waits until `reached` returns true for the counts, or `limit` has passed. Returns the last
    /// counts in both cases; the caller compares them.
    pub fn wait_for(&self, limit: Duration, reached: impl Fn(Counts) -> bool) -> Counts {
        self.stats.wait_for(limit, reached)
    }
}

/// Servers with the same behaviour on many ports, which share one thread. Dropping it stops all of
/// them and frees their ports.
///
/// All servers together serve at most [`MAX_CONNECTIONS`] connections at
/// the same time.
#[derive(Debug)]
pub struct Crowd {
    endpoints: Vec<SocketAddr>,
    stats: Arc<Stats>,
    _port: PortHolder,
}

impl Crowd {
    /// Starts a server on each of these loopback addresses; with port 0, the system picks the port.
    ///
    /// # Errors
    ///
    /// The errors of [`Server::start`].
    ///
    /// # Panics
    ///
    /// If the behaviour refuses connections ([`Behaviour::Refused`]), or `binds` is empty.
    pub fn start(
        behaviour: Behaviour,
        binds: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Self, LabError> {
        let stats = Arc::new(Stats::default());
        let policy = ServerPolicy::new(behaviour).expect("the behaviour accepts connections");
        let binds: Vec<_> = binds.into_iter().collect();
        let (port, endpoints) = serve(Reach::Loopback, policy, &binds, &stats)?;
        Ok(Self { endpoints, stats, _port: port })
    }

    /// The endpoints of the servers, in the order of the addresses given to [`Crowd::start`].
    #[must_use]
    pub fn endpoints(&self) -> &[SocketAddr] {
        &self.endpoints
    }

    /// Returns the counts of all servers together at one moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.stats.counts()
    }
}

impl Drop for PortHolder {
    fn drop(&mut self) {
        if let Self::Serving { stop, thread } = self {
            // Closing the stream would not do: a child process being started may still hold a copy.
            let _ = stop.shutdown(Shutdown::Both);
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

/// Starts a server for a behaviour that accepts connections, or binds the port for one that refuses
/// them.
fn open_port(
    reach: Reach,
    behaviour: Behaviour,
    bind: SocketAddr,
    stats: &Arc<Stats>,
) -> Result<(PortHolder, SocketAddr), LabError> {
    match ServerPolicy::new(behaviour) {
        Some(policy) => {
            let (port, endpoints) = serve(reach, policy, &[bind], stats)?;
            Ok((port, endpoints[0]))
        }
        None if !reach.allows(bind) => Err(LabError::NotLoopback { address: bind }),
        None => bind_only(bind).map_err(|source| LabError::Listen { address: bind, source }),
    }
}

/// Listens on each address and starts one thread that serves them all.
fn serve(
    reach: Reach,
    policy: ServerPolicy,
    binds: &[SocketAddr],
    stats: &Arc<Stats>,
) -> Result<(PortHolder, Vec<SocketAddr>), LabError> {
    let (mut listeners, mut endpoints) = (Vec::new(), Vec::new());
    for &address in binds {
        if !reach.allows(address) {
            return Err(LabError::NotLoopback { address });
        }
        let (listener, endpoint) =
            listen(address).map_err(|source| LabError::Listen { address, source })?;
        listeners.push(listener);
        endpoints.push(endpoint);
    }
    let endpoint = *endpoints.first().expect("there is at least one address");
    let thread_error = |source| LabError::Thread { endpoint, source };
    let (stop, stopped) = UnixStream::pair().map_err(thread_error)?;
    let server_loop =
        ServerLoop::new(listeners, stopped, policy, Arc::clone(stats), reach.max_connections());
    let thread = thread::Builder::new()
        .name(format!("lab-{}", endpoint.port()))
        .spawn(move || server_loop.run())
        .map_err(thread_error)?;
    Ok((PortHolder::Serving { stop, thread: Some(thread) }, endpoints))
}

fn listen(bind: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(bind)?;
    listener.set_nonblocking(true)?;
    sys::listen(&listener, BACKLOG)?;
    let endpoint = listener.local_addr()?;
    Ok((listener, endpoint))
}

/// Binds a socket that does not listen, without `SO_REUSEADDR`, so that no other process can bind
/// the same port.
#[expect(clippy::disallowed_methods, reason = "a socket that never listens or connects")]
fn bind_only(bind: SocketAddr) -> io::Result<(PortHolder, SocketAddr)> {
    let family = match bind {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = sys::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    sys::bind(&socket, &bind)?;
    let endpoint = SocketAddr::try_from(sys::getsockname(&socket)?)?;
    Ok((PortHolder::Bound { _socket: socket }, endpoint))
}
