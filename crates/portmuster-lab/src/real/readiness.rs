//! Checks whether a server that was just started accepts connections and sends its greeting.

use std::{
    fs,
    io::{self, Read},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use super::error::RealServerError;

/// How long a server may take to start. The busiest machine takes less.
pub(super) const READY_LIMIT: Duration = Duration::from_mins(1);

/// The file in a server's folder that receives its standard error.
pub(super) fn stderr_file(folder: &Path) -> PathBuf {
    folder.join("stderr")
}

/// Returns an error that quotes what the server wrote to [`stderr_file`].
pub(super) fn not_ready(
    program: &'static str,
    endpoint: SocketAddr,
    reason: &'static str,
    folder: &Path,
) -> RealServerError {
    let stderr = fs::read(stderr_file(folder)).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
    RealServerError::NotReady { program, endpoint, reason, stderr }
}

/// Connects to a server and returns whether its first bytes are `greeting`. Waits at most
/// [`READY_LIMIT`] for them.
#[expect(clippy::disallowed_methods, reason = "a plain client for a server being started")]
pub(super) fn greets_with(endpoint: SocketAddr, greeting: &[u8]) -> io::Result<bool> {
    let mut stream = TcpStream::connect(endpoint)?;
    stream.set_read_timeout(Some(READY_LIMIT))?;
    let mut start = vec![0; greeting.len()];
    stream.read_exact(&mut start)?;
    Ok(start == greeting)
}
