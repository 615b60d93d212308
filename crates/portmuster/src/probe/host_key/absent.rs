//! What stands for the key exchange in a library without the feature `host-keys`. The setting that asks for
//! one does not exist there.

use super::interface::{ExchangeStep, Preamble};
use crate::outcome::{HostKeyFailure, KeyTypes};

/// Nothing is written.
pub(in crate::probe) const EXCHANGE_WRITTEN_MAX: usize = 0;

/// An exchange, which never exists.
#[derive(Debug)]
pub(in crate::probe) enum NoExchange {}

impl NoExchange {
    pub(in crate::probe) fn begin(
        _: &Preamble<'_>,
        _: KeyTypes,
    ) -> Result<(Self, Vec<u8>), HostKeyFailure> {
        Err(HostKeyFailure::NoMethod)
    }

    pub(in crate::probe) fn others(&self) -> KeyTypes {
        match *self {}
    }

    pub(in crate::probe) fn receive(&mut self, _: &[u8]) -> ExchangeStep {
        match *self {}
    }

    pub(in crate::probe) fn memory(&self) -> usize {
        match *self {}
    }
}
