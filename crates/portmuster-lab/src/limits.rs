//! Limits that hold for every server.

use std::time::Duration;

/// The longest time that a connection lasts. It is longer than every deadline of a check, and than a
/// test takes on a busy machine.
pub const MAX_LIFE: Duration = Duration::from_mins(10);

/// The most connections that one server or one [`Crowd`](crate::Crowd) serves at the same time.
pub const MAX_CONNECTIONS: usize = 256;

/// The most connections that one server behind a link serves at the same time. Each host of the link
/// has its own, and a slow link keeps them open for longer.
#[cfg(feature = "link")]
pub(crate) const MAX_LINK_CONNECTIONS: usize = 8192;
