//! What a key exchange gets from the handshake, and what it returns.

use crate::outcome::{HostKey, HostKeyFailure, KexInit};

/// What an exchange wants next.
#[derive(Debug)]
#[cfg_attr(not(feature = "host-keys"), expect(dead_code, reason = "no key exchange begins"))]
pub(in crate::probe) enum ExchangeStep {
    /// More bytes of the server.
    Read,
    /// To send these bytes, then more bytes of the server.
    Write(Vec<u8>),
    /// Nothing: it has ended.
    Done(Result<HostKey, HostKeyFailure>),
}

/// What both sides have sent before the exchange.
#[derive(Debug)]
#[cfg_attr(not(feature = "host-keys"), expect(dead_code, reason = "no key exchange begins"))]
pub(in crate::probe) struct Preamble<'a> {
    /// Our identification, without its line end.
    pub(in crate::probe) client_line: &'a [u8],
    /// The identification of the server, without its line end.
    pub(in crate::probe) server_line: &'a [u8],
    /// The payload of the server's `SSH_MSG_KEXINIT`.
    pub(in crate::probe) server_kex_init: &'a [u8],
    /// The lists in it.
    pub(in crate::probe) offer: &'a KexInit,
}
