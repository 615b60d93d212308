//! A server of the lab as its owner sees it: where it is, what it has counted, and its end.
//!
//! - Invariant: [`Server`]'s drop returns after its thread has ended, in milliseconds.

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
    host::{Door, Host},
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
    presence: Presence,
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
        if !bind.ip().is_loopback() {
            return Err(LabError::NotLoopback { address: bind });
        }
        let stats = Arc::new(Stats::default());
        let (presence, endpoint) = match Door::of(behaviour) {
            Some(door) => serve(door, bind, &stats)?,
            None => hold(bind).map_err(|source| LabError::Listen { address: bind, source })?,
        };
        Ok(Self { behaviour, endpoint, stats, presence })
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

impl Drop for Server {
    fn drop(&mut self) {
        if let Presence::Serving { stop, thread } = &mut self.presence {
            // Not by closing it: a child process being started may hold a copy for a moment.
            let _ = stop.shutdown(Shutdown::Both);
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

fn serve(
    door: Door,
    bind: SocketAddr,
    stats: &Arc<Stats>,
) -> Result<(Presence, SocketAddr), LabError> {
    let (listener, endpoint) =
        listen(bind).map_err(|source| LabError::Listen { address: bind, source })?;
    let thread_error = |source| LabError::Thread { endpoint, source };
    let (stop, stopped) = UnixStream::pair().map_err(thread_error)?;
    let host = Host::new(listener, stopped, door, Arc::clone(stats));
    let thread = thread::Builder::new()
        .name(format!("lab-{}", endpoint.port()))
        .spawn(move || host.run())
        .map_err(thread_error)?;
    Ok((Presence::Serving { stop, thread: Some(thread) }, endpoint))
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
