//! A connection to a proxy, up to the connection to the endpoint.
//!
//! Invariant: only the proxy's reply to the request, or its silence after the request, says anything about
//! the endpoint. Whatever else happens ends as unchecked.

use std::net::SocketAddr;

use super::{
    errno::{self, Phase},
    socks::{Destination, ProxyServer, SocksHandshake, SocksStep},
    step::Event,
};
use crate::{
    memory::Reservation,
    outcome::{Fault, PortState, Reason},
};

/// What a proxy is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A connection to the endpoint.
    Endpoint,
    /// A connection to the host with this name, which the proxy looks up.
    Name(Box<str>),
    /// Nothing: the attempt ends when the proxy has accepted this client.
    Nothing,
}

impl Request {
    /// Returns where the proxy is to connect to, for an attempt on this endpoint.
    pub(super) fn destination(&self, endpoint: SocketAddr) -> Destination<'_> {
        match self {
            Self::Endpoint => Destination::Address(endpoint),
            Self::Name(name) => Destination::Name(name, endpoint.port()),
            Self::Nothing => Destination::Nowhere,
        }
    }
}

/// The state of a connection to a proxy.
#[derive(Debug)]
pub(super) struct Proxying {
    handshake: SocksHandshake,
    /// Memory that the attempt holds from the shared pool.
    pub(super) held: Reservation,
}

impl Proxying {
    /// Begins the handshake. Returns the bytes to send.
    pub(super) fn begin(proxy: &ProxyServer) -> (Self, Vec<u8>) {
        let (handshake, greeting) = SocksHandshake::begin(proxy);
        (Self { handshake, held: Reservation::default() }, greeting)
    }

    /// Returns whether the request was sent, so that silence may be the endpoint's.
    pub(super) fn has_asked(&self) -> bool {
        self.handshake.has_asked()
    }

    /// Applies an event.
    ///
    /// # Errors
    /// This machine lacks a resource.
    pub(super) fn handle<'a>(
        &mut self,
        event: Event<'a>,
        proxy: &ProxyServer,
        destination: Destination<'_>,
    ) -> Result<SocksStep<'a>, Fault> {
        let (state, reason) = match event {
            Event::Bytes(bytes) => return Ok(self.handshake.receive(bytes, proxy, destination)),
            Event::Failed(errno) => match errno::meaning(Phase::Conversation, errno) {
                errno::Meaning::Fault(fault) => return Err(fault),
                _ => (PortState::Unchecked, self.handshake.closed()),
            },
            Event::Closed => (PortState::Unchecked, self.handshake.closed()),
            Event::DeadlinePassed if self.has_asked() => (PortState::Filtered, Reason::NoAnswer),
            Event::DeadlinePassed => (PortState::Unchecked, Reason::ProxyUnreachable),
            // Events that can't happen in this stage.
            Event::Accepted | Event::RefusedByIcmp(_) => return Ok(SocksStep::Read),
        };
        Ok(SocksStep::Failed(state, reason))
    }
}
