//! A SOCKS5 proxy (RFC 1928, RFC 1929) that fails on demand.
//!
//! Where a client asks it to connect decides what it does. An address in 192.0.2.0/24 stands for a
//! failure; every other destination must be a loopback address, to which it connects.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::{error::LabError, limits::MAX_LIFE};

/// The last part of the addresses in 192.0.2.0/24 that stand for a failure other than a reply with this
/// code.
const HANGS_UP: u8 = 200;
const RESETS: u8 = 201;
const SENDS_HALF_A_REPLY: u8 = 202;
const SENDS_GARBAGE: u8 = 203;
const STAYS_SILENT: u8 = 204;

/// The most requests that are recorded.
const REQUESTS_MAX: usize = 4096;

/// A running proxy on loopback. Dropping it ends it.
///
/// A request for `192.0.2.N` gets a reply with the code N. These are exceptions: at `192.0.2.200` it
/// hangs up, at 201 it resets the connection, at 202 it sends half a reply and hangs up, at 203 it sends
/// something other than SOCKS, and at 204 it does not reply. The names `localhost` and `*.localhost` stand
/// for 127.0.0.1, and any other name gets the reply 4.
#[derive(Debug)]
pub struct SocksProxy {
    endpoint: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    login: Option<(&'static str, &'static str)>,
    is_stopped: AtomicBool,
    requests: Mutex<Vec<String>>,
    /// The connected clients, each with its number, so that the end of the proxy disconnects them.
    clients: Mutex<BTreeMap<u64, TcpStream>>,
}

impl SocksProxy {
    /// Starts a proxy on a free port of 127.0.0.1 that requires this user name and password; `None`: it
    /// requires none.
    ///
    /// # Errors
    ///
    /// The system did not provide a socket or a thread.
    pub fn start(login: Option<(&'static str, &'static str)>) -> Result<Self, LabError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listen = |source| LabError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let endpoint = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            login,
            is_stopped: AtomicBool::new(false),
            requests: Mutex::default(),
            clients: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = thread::Builder::new().name("lab-socks".into());
        let thread = thread
            .spawn(move || serving.serve(&listener))
            .map_err(|source| LabError::Thread { endpoint, source })?;
        Ok(Self { endpoint, shared, thread: Some(thread) })
    }

    /// The endpoint on which it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// The URL of the proxy, without a login.
    #[must_use]
    pub fn url(&self) -> String {
        format!("socks5://{}", self.endpoint)
    }

    /// The destinations that clients have asked for, such as `127.0.0.1:22` or `db.localhost:22`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for SocksProxy {
    #[expect(clippy::disallowed_methods, reason = "it wakes the thread that accepts connections")]
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.endpoint);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a client asks for.
#[derive(Debug)]
enum Destination {
    Endpoint(SocketAddr),
    Name(String, u16),
}

impl Shared {
    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        for (client, number) in listener.incoming().zip(0..) {
            if self.is_stopped.load(Ordering::SeqCst) {
                break;
            }
            let Ok(client) = client else { continue };
            self.clients().extend(client.try_clone().map(|client| (number, client)));
            threads.retain(|thread| !thread.is_finished());
            let shared = Arc::clone(self);
            let thread = thread::Builder::new().name("lab-socks-client".into());
            // Without a thread the client is disconnected.
            threads.extend(thread.spawn(move || {
                // Errors are the client's: the connection is closed.
                let _ = shared.talk(&client);
                shared.clients().remove(&number);
            }));
        }
        for client in self.clients().values() {
            let _ = client.shutdown(Shutdown::Both);
        }
        for thread in threads {
            let _ = thread.join();
        }
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn talk(&self, client: &TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(MAX_LIFE))?;
        if !self.admit(client)? {
            return Ok(());
        }
        let destination = read_request(client)?;
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() < REQUESTS_MAX {
            requests.push(match &destination {
                Destination::Endpoint(endpoint) => endpoint.to_string(),
                Destination::Name(name, port) => format!("{name}:{port}"),
            });
        }
        drop(requests);
        match destination {
            Destination::Endpoint(SocketAddr::V4(endpoint))
                if endpoint.ip().octets()[..3] == [192, 0, 2] =>
            {
                fail(client, endpoint.ip().octets()[3])
            }
            Destination::Endpoint(endpoint) => Self::relay(client, endpoint),
            Destination::Name(name, port)
                if name == "localhost" || name.ends_with(".localhost") =>
            {
                Self::relay(client, (Ipv4Addr::LOCALHOST, port).into())
            }
            Destination::Name(..) => reply(client, 4),
        }
    }

    /// Negotiates the method of authentication. Returns whether the client may go on.
    fn admit(&self, mut client: &TcpStream) -> io::Result<bool> {
        let [version, count] = read(client)?;
        let mut methods = vec![0; usize::from(count)];
        client.read_exact(&mut methods)?;
        let wanted = if self.login.is_some() { 2 } else { 0 };
        if version != 5 || !methods.contains(&wanted) {
            client.write_all(&[5, 0xFF])?;
            return Ok(false);
        }
        client.write_all(&[5, wanted])?;
        let Some((user, password)) = self.login else { return Ok(true) };
        let [_, length] = read(client)?;
        let mut given_user = vec![0; usize::from(length)];
        client.read_exact(&mut given_user)?;
        let [length] = read(client)?;
        let mut given_password = vec![0; usize::from(length)];
        client.read_exact(&mut given_password)?;
        let is_valid = given_user == user.as_bytes() && given_password == password.as_bytes();
        client.write_all(&[1, u8::from(!is_valid)])?;
        Ok(is_valid)
    }

    /// Connects to an endpoint on loopback and copies bytes in both directions.
    #[expect(clippy::disallowed_methods, reason = "a proxy connects where its clients ask it to")]
    fn relay(mut client: &TcpStream, endpoint: SocketAddr) -> io::Result<()> {
        if !endpoint.ip().is_loopback() {
            return reply(client, 2);
        }
        let mut server = match TcpStream::connect(endpoint) {
            Ok(server) => server,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                return reply(client, 5);
            }
            Err(_) => return reply(client, 1),
        };
        server.set_read_timeout(Some(MAX_LIFE))?;
        reply(client, 0)?;
        let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        let upwards = thread::Builder::new().name("lab-socks-relay".into()).spawn(move || {
            let _ = io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Both);
        })?;
        let _ = io::copy(&mut server, &mut client);
        let _ = client.shutdown(Shutdown::Write);
        let _ = upwards.join();
        Ok(())
    }
}

fn read<const COUNT: usize>(mut client: &TcpStream) -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_request(mut client: &TcpStream) -> io::Result<Destination> {
    let [_, _, _, kind] = read(client)?;
    let host: IpAddr = match kind {
        1 => Ipv4Addr::from(read::<4>(client)?).into(),
        4 => Ipv6Addr::from(read::<16>(client)?).into(),
        3 => {
            let [length] = read(client)?;
            let mut name = vec![0; usize::from(length)];
            client.read_exact(&mut name)?;
            let port = u16::from_be_bytes(read(client)?);
            return Ok(Destination::Name(String::from_utf8_lossy(&name).into_owned(), port));
        }
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    let port = u16::from_be_bytes(read(client)?);
    Ok(Destination::Endpoint(SocketAddr::new(host, port)))
}

/// Sends a reply with this code.
fn reply(mut client: &TcpStream, code: u8) -> io::Result<()> {
    client.write_all(&[5, code, 0, 1, 127, 0, 0, 1, 0, 0])
}

/// Fails as the last part of the address says.
fn fail(mut client: &TcpStream, what: u8) -> io::Result<()> {
    match what {
        HANGS_UP => Ok(()),
        RESETS => rustix::net::sockopt::set_socket_linger(client, Some(std::time::Duration::ZERO))
            .map_err(Into::into),
        SENDS_HALF_A_REPLY => client.write_all(&[5, 0, 0, 1]),
        SENDS_GARBAGE => client.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"),
        STAYS_SILENT => {
            // Until the client leaves.
            let _ = client.read(&mut [0; 64]);
            Ok(())
        }
        code => reply(client, code),
    }
}
