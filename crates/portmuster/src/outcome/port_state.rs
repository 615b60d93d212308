//! The state of a port.

use crate::named_enum::named_enum;

named_enum! {
    /// What the connection attempts show about a port.
    ///
    /// There are no other states, so a `match` over these five is complete.
    pub enum PortState: "port state" {
        /// The connection was accepted.
        Open = "open",
        /// The connection was refused.
        Closed = "closed",
        /// Nothing answered, or a device on the path rejected the connection.
        Filtered = "filtered",
        /// The name does not exist.
        Unresolved = "unresolved",
        /// This machine could not try a connection, or is not permitted to.
        Unchecked = "unchecked",
    }
}
