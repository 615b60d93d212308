//! A server of the lab as its owner sees it: where it is, what it has counted, and its end; and a
//! crowd of them that behave alike.
//!
//! - Invariant: the drop of a [`Server`] or a [`Crowd`] returns after its thread has ended, in milliseconds.

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
    Behaviour, Counts, LabError,
    host::{Host, ServerPolicy},
    stats::Stats,
};

/// The system caps it (`net.core.somaxconn`); the standard library's 128 would make clients that
/// start thousands of connections at once wait for a repeated SYN.
const BACKLOG: i32 = 4096;

/// A running server. Dropping it stops it and gives its port back.
#[derive(Debug)]
pub struct Server {
    behaviour: Behaviour,
    endpoint: SocketAddr,
    stats: Arc<Stats>,
    _presence: Presence,
}

#[derive(Debug)]
enum Presence {
    /// Bound and not listening: connections are refused, and nobody else gets the port.
    Held {
        _socket: OwnedFd,
    },
    Serving {
        stop: UnixStream,
        thread: Option<JoinHandle<()>>,
    },
}

impl Server {
    /// Starts a server on a loopback address; with port 0 the system picks the port. When this
    /// returns, the server takes (or refuses) connections.
    ///
    /// # Errors
    ///
    /// [`LabError::NotLoopback`] for any other address, [`LabError::Listen`] when the address or
    /// port can't be had, [`LabError::Thread`] when the system has no room for a thread.
    pub fn start(behaviour: Behaviour, bind: SocketAddr) -> Result<Self, LabError> {
        let stats = Arc::new(Stats::default());
        let (presence, endpoint) = present(behaviour, bind, &stats)?;
        Ok(Self { behaviour, endpoint, stats, _presence: presence })
    }

    /// What it does with those who connect.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// Where it is, with the port that the system picked.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Connections so far. A connect that has just succeeded may not have been counted yet; see
    /// [`Server::wait_for`].
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.counts().accepted
    }

    /// Most connections that were open at the same time. A connection that its client closed
    /// before opening the next is never counted beside it.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.counts().peak
    }

    /// All counts, taken at one moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.stats.counts()
    }

    /// Waits until the counts are as wanted, or `limit` has passed; returns the last counts,
    /// which the caller compares.
    pub fn wait_for(&self, limit: Duration, reached: impl Fn(Counts) -> bool) -> Counts {
        self.stats.wait_for(limit, reached)
    }
}

/// Servers that behave alike and share one thread. Dropping it stops them all and gives their
/// ports back.
///
/// It serves at most [`MAX_CONNECTIONS`](crate::MAX_CONNECTIONS) connections at the same time.
#[derive(Debug)]
pub struct Crowd {
    endpoints: Vec<SocketAddr>,
    stats: Arc<Stats>,
    _presence: Presence,
}

impl Crowd {
    /// Starts a server on each of these loopback addresses; with port 0 the system picks the port.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    ///
    /// # Panics
    ///
    /// Nobody can serve by this behaviour, which refuses connections; or there is no address.
    pub fn start(
        behaviour: Behaviour,
        binds: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Self, LabError> {
        let stats = Arc::new(Stats::default());
        let door = ServerPolicy::of(behaviour).expect("the behaviour is one of a server");
        let binds: Vec<_> = binds.into_iter().collect();
        let (presence, endpoints) = serve(door, &binds, &stats)?;
        Ok(Self { endpoints, stats, _presence: presence })
    }

    /// Where the servers are, in the order in which they were asked for.
    #[must_use]
    pub fn endpoints(&self) -> &[SocketAddr] {
        &self.endpoints
    }

    /// The counts of all servers together, taken at one moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.stats.counts()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Self::Serving { stop, thread } = self {
            // Not by closing it: a child process being started may hold a copy for a moment.
            let _ = stop.shutdown(Shutdown::Both);
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

fn present(
    behaviour: Behaviour,
    bind: SocketAddr,
    stats: &Arc<Stats>,
) -> Result<(Presence, SocketAddr), LabError> {
    match ServerPolicy::of(behaviour) {
        Some(door) => {
            let (presence, endpoints) = serve(door, &[bind], stats)?;
            Ok((presence, endpoints[0]))
        }
        None if !bind.ip().is_loopback() => Err(LabError::NotLoopback { address: bind }),
        None => hold(bind).map_err(|source| LabError::Listen { address: bind, source }),
    }
}

fn serve(
    door: ServerPolicy,
    binds: &[SocketAddr],
    stats: &Arc<Stats>,
) -> Result<(Presence, Vec<SocketAddr>), LabError> {
    let (mut listeners, mut endpoints) = (Vec::new(), Vec::new());
    for &address in binds {
        if !address.ip().is_loopback() {
            return Err(LabError::NotLoopback { address });
        }
        let (listener, endpoint) =
            listen(address).map_err(|source| LabError::Listen { address, source })?;
        listeners.push(listener);
        endpoints.push(endpoint);
    }
    let endpoint = *endpoints.first().expect("a server has an address");
    let thread_error = |source| LabError::Thread { endpoint, source };
    let (stop, stopped) = UnixStream::pair().map_err(thread_error)?;
    let host = Host::new(listeners, stopped, door, Arc::clone(stats));
    let thread = thread::Builder::new()
        .name(format!("lab-{}", endpoint.port()))
        .spawn(move || host.run())
        .map_err(thread_error)?;
    Ok((Presence::Serving { stop, thread: Some(thread) }, endpoints))
}

fn listen(bind: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(bind)?;
    listener.set_nonblocking(true)?;
    sys::listen(&listener, BACKLOG)?;
    let endpoint = listener.local_addr()?;
    Ok((listener, endpoint))
}

/// Without `SO_REUSEADDR`, so that nobody can bind beside it.
#[expect(clippy::disallowed_methods, reason = "a socket that never listens or connects")]
fn hold(bind: SocketAddr) -> io::Result<(Presence, SocketAddr)> {
    let family = match bind {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = sys::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    sys::bind(&socket, &bind)?;
    let endpoint = SocketAddr::try_from(sys::getsockname(&socket)?)?;
    Ok((Presence::Held { _socket: socket }, endpoint))
}
