//! The judgement on a service, and the ends of input that lead to one.

use crate::outcome::{Evidence, HostKeyFailure, KexFailure, Rule, Service, ServiceDetails};

/// What the bytes from a server prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) service: Service,
    pub(crate) rule: Rule,
    /// The ssh identification, the telnet text, or the first bytes of other services.
    pub(crate) banner: Vec<u8>,
    pub(crate) details: Option<Box<ServiceDetails>>,
}

impl Judgement {
    /// Creates a judgement without details.
    pub(crate) fn new(service: Service, rule: Rule, banner: Vec<u8>) -> Self {
        Self { service, rule, banner, details: None }
    }

    /// Sets the details, unless they are empty.
    pub(super) fn with_details(self, details: ServiceDetails) -> Self {
        Self { details: (details != ServiceDetails::default()).then(|| Box::new(details)), ..self }
    }

    /// Adds the recorded conversation, if there is one.
    pub(crate) fn with_evidence(mut self, evidence: Option<Evidence>) -> Self {
        if evidence.is_some() {
            self.details.get_or_insert_default().evidence = evidence;
        }
        self
    }
}

/// Why no more bytes will be read from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndOfInput {
    /// The server closed the connection.
    Closed,
    /// The server has sent nothing for a while.
    Quiet,
    /// The deadline of the conversation has passed.
    Deadline,
}

impl From<EndOfInput> for KexFailure {
    fn from(end: EndOfInput) -> Self {
        match end {
            EndOfInput::Closed => Self::HungUp,
            EndOfInput::Quiet => Self::Silence,
            EndOfInput::Deadline => Self::Deadline,
        }
    }
}

impl From<EndOfInput> for HostKeyFailure {
    fn from(end: EndOfInput) -> Self {
        match end {
            EndOfInput::Closed => Self::HungUp,
            EndOfInput::Quiet => Self::Silence,
            EndOfInput::Deadline => Self::Deadline,
        }
    }
}
