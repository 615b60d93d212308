//! Limits of one conversation.

/// Limit of bytes read from one server, after which it counts as a tarpit.
pub(crate) const BYTES_MAX: usize = 64 * 1024;
/// Limit of lines read from one server, after which it counts as a tarpit. RFC 4253 §4.2 sets no limit
/// for the lines before an identification; OpenSSH's client gives up after as many.
pub(crate) const LINES_MAX: usize = 1024;
/// Limit of the bytes of a greeting that the row contains.
pub(crate) const BANNER_MAX: usize = 1024;
/// Limit of bytes written in one conversation. Drivers rely on it to fit into a send buffer.
pub(crate) const WRITTEN_MAX: usize = 4096;
