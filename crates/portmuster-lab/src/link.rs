//! A slow, lossy network to test against, in network namespaces of its own.
//!
//! ```text
//! near namespace                                  far namespace
//! programs under test ── wire ══ forwarder ══ hosts ── servers
//! ```
//!
//! Programs run in the near namespace. The hosts of all [`Network`]s are in the far namespace, where
//! the kernel accepts connections to any of their addresses; so both ends of a connection are a
//! kernel's TCP. The two namespaces are joined by a [`Link`]: a thread of this process reads each
//! packet, and delays, drops or delivers it, as the [`LinkSettings`] say. Packets to an address
//! without a host end in that thread, which makes them cheap.
//!
//! The [seed](LinkSettings::new) decides which addresses have hosts and which packets of a connection
//! are lost, so [`LinkSettings::has_host`] is the truth that a scan should find.
//!
//! A link needs root, or root of a user namespace, `/dev/net/tun`, and the programs `ip` (iproute2),
//! `nsenter` and `setpriv` (util-linux).
//!
//! - Invariant: no packet leaves the machine; the namespaces have no device but their own.
//! - Invariant: the namespaces have no name, and end with this process, however it ends.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
    process::{self, Command},
    sync::{Arc, Mutex},
};

mod addresses;
mod attempts;
mod counts;
mod devices;
mod error;
mod forwarder;
mod frame;
mod namespace;
mod network;
mod path;
mod queue;
mod random;
mod settings;
mod tap;

pub use attempts::Attempts;
pub use counts::LinkCounts;
pub use error::LinkError;
pub use network::{Network, Unassigned};
pub use settings::{Bursts, LinkSettings};

use crate::server::Server;
use forwarder::Forwarder;
use path::{PacketPath, SharedPath, lock};

/// A running link. Dropping it ends the servers and the forwarder, and its namespaces end with the
/// last program that runs in them.
///
/// ```no_run
/// use std::time::Duration;
/// use portmuster_lab::link::{Link, LinkSettings};
///
/// let settings = LinkSettings::new(1)
///     .network("10.200.0.0/16".parse()?)
///     .round_trip(Duration::from_millis(300))
///     .loss(0.02);
/// let link = Link::start(settings)?;
/// let scan = link.command("portmuster").args(["check", "10.200.0.0/24", "-p", "22"]).output()?;
/// assert_eq!(link.counts().overflow, 0, "the link kept up");
/// # drop(scan);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Link {
    settings: LinkSettings,
    path: SharedPath,
    near: File,
    far: File,
    _servers: Vec<Server>,
    _forwarder: Forwarder,
}

impl Link {
    /// Makes the namespaces and starts the servers and the forwarder. When this function returns,
    /// connections are possible.
    ///
    /// # Errors
    ///
    /// [`LinkError::is_unsupported`] tells a machine that cannot have a link from other failures.
    pub fn start(settings: LinkSettings) -> Result<Self, LinkError> {
        settings.validate()?;
        let near = namespace::create()?;
        let far = namespace::create()?;
        let hosts = namespace::enter(&far, || devices::prepare_far(&settings))??;
        let wire = namespace::enter(&near, || devices::prepare_near(&settings))??;
        let servers = namespace::enter(&far, || start_servers(&settings))??;
        let path = Arc::new(Mutex::new(PacketPath::new(settings.clone())));
        let forwarder = Forwarder::start(wire, hosts, Arc::clone(&path))?;
        Ok(Self { settings, path, near, far, _servers: servers, _forwarder: forwarder })
    }

    /// The settings with which it was started.
    #[must_use]
    pub fn settings(&self) -> &LinkSettings {
        &self.settings
    }

    /// Returns a command that runs this program in the near namespace.
    ///
    /// The process id of the child is that of the program. The system kills the program when the
    /// thread that starts it ends, so that it never outlives a test.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let namespace = format!("--net=/proc/{}/fd/{}", process::id(), self.near.as_raw_fd());
        let mut command = Command::new("nsenter");
        command.args([namespace.as_str(), "--", "setpriv", "--pdeathsig", "KILL", "--"]);
        command.arg(program);
        command
    }

    /// Runs a function in a thread of the near namespace and returns its result. Sockets and threads
    /// that the function makes belong to that namespace.
    ///
    /// # Errors
    ///
    /// The system does not let a thread enter the namespace.
    ///
    /// # Panics
    ///
    /// If the function panics.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LinkError> {
        namespace::enter(&self.near, work)
    }

    /// Returns the counts at one moment.
    #[must_use]
    pub fn counts(&self) -> LinkCounts {
        let mut counts = lock(&self.path).counts();
        for namespace in [&self.near, &self.far] {
            counts.overflow += namespace::enter(namespace, devices::dropped).unwrap_or_default();
        }
        counts
    }

    /// Returns the connection attempts on one endpoint so far; `None` if there were none, or
    /// [`LinkSettings::record_attempts`] is off.
    #[must_use]
    pub fn attempts(&self, endpoint: SocketAddr) -> Option<Attempts> {
        lock(&self.path).attempts(endpoint)
    }
}

/// Starts a server on each port, on all addresses of this thread's namespace.
fn start_servers(settings: &LinkSettings) -> Result<Vec<Server>, LinkError> {
    // A listener on the address of IPv6 serves IPv4, too.
    let any = if settings.has_ipv6() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    let start = |&(port, behaviour)| {
        let bind = SocketAddr::new(any, port);
        Server::start_in_namespace(behaviour, bind)
            .map_err(|source| LinkError::Server { source: io::Error::other(source) })
    };
    settings.services().iter().map(start).collect()
}
