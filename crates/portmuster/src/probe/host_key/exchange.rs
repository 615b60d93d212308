//! A key exchange with an ssh server up to its reply, which has the host key and a signature (RFC 4253
//! §8, RFC 4419, RFC 5656 §4, RFC 8731). No I/O.
//!
//! Invariant: a key is proven only if its signature over the hash of this exchange was verified, with our
//! own random numbers in it.

use super::{
    agreement::{Agreement, PublicValue},
    algorithms::{
        AgreedAlgorithms, AgreementKind, COOKIE_SIZE, HostKeyAlgorithm, KEX_INIT_MAX,
        offered_key_types,
    },
    exchange_hash::ExchangeHash,
    groups::{self, DhGroup},
    interface::{ExchangeStep, Preamble},
    received_key::ReceivedKey,
    wire::{WireReader, packet, put_unsigned},
};
use crate::{
    outcome::{HostKey, HostKeyFailure, KexFailure, KeyTypes, ProofFailure},
    probe::packets::PacketReader,
    random,
};

const SSH_MSG_KEX_INIT: u8 = 30;
const SSH_MSG_KEX_REPLY: u8 = 31;
const SSH_MSG_GEX_GROUP: u8 = 31;
const SSH_MSG_GEX_INIT: u8 = 32;
const SSH_MSG_GEX_REPLY: u8 = 33;
const SSH_MSG_GEX_REQUEST: u8 = 34;

/// The most bytes that one exchange writes: our `SSH_MSG_KEXINIT`, the request for a group with three
/// numbers, and a number of the largest group, each in a packet.
pub(in crate::probe) const EXCHANGE_WRITTEN_MAX: usize =
    KEX_INIT_MAX + (1 + 12 + 16) + (1 + 4 + 1 + groups::BITS_MAX as usize / 8 + 16);

/// A running exchange.
#[derive(Debug)]
pub(in crate::probe) struct HostKeyExchange {
    packets: PacketReader,
    host_key: &'static HostKeyAlgorithm,
    others: KeyTypes,
    /// The hash over everything up to our `SSH_MSG_KEXINIT`.
    hash: ExchangeHash,
    stage: ExchangeStage,
}

#[derive(Debug)]
enum ExchangeStage {
    /// The server is to choose a group.
    Group,
    /// The server is to send its host key.
    Reply {
        agreement: Box<Agreement>,
        /// Our public value.
        public: Vec<u8>,
        /// What is hashed before our public value: the group that the server chose.
        group: Vec<u8>,
        /// The number of the message.
        message: u8,
    },
}

impl HostKeyExchange {
    /// Begins an exchange for a host key of a type that is not among `known`. Returns the packets to send.
    pub(in crate::probe) fn begin(
        preamble: &Preamble<'_>,
        known: KeyTypes,
    ) -> Result<(Self, Vec<u8>), HostKeyFailure> {
        let agreed = AgreedAlgorithms::choose(preamble.offer, known)?;
        let cookie = random::secret::<COOKIE_SIZE>().ok_or(HostKeyFailure::NoRandomness)?;
        let kex_init = agreed.kex_init(cookie);
        let mut hash = ExchangeHash::new(agreed.method.hash);
        hash.add_string(preamble.client_line);
        hash.add_string(preamble.server_line);
        hash.add_string(&kex_init);
        hash.add_string(preamble.server_kex_init);
        let (stage, message) = match agreed.method.agreement {
            AgreementKind::GroupExchange => (ExchangeStage::Group, group_request()),
            kind => {
                let agreement = Agreement::draw(kind).ok_or(HostKeyFailure::NoRandomness)?;
                let messages = (SSH_MSG_KEX_INIT, SSH_MSG_KEX_REPLY);
                ExchangeStage::await_reply(agreement, Vec::new(), messages)
            }
        };
        let sent = [packet(&kex_init), packet(&message)].concat();
        let host_key = agreed.host_key;
        let asked = known.with(host_key.key_type);
        let others = offered_key_types(preamble.offer).without(asked);
        let packets = PacketReader::default();
        Ok((Self { packets, host_key, others, hash, stage }, sent))
    }

    /// Returns the other types of host keys that the server offers and that are not known.
    pub(in crate::probe) fn others(&self) -> KeyTypes {
        self.others
    }

    /// Processes bytes from the server.
    pub(in crate::probe) fn receive(&mut self, mut bytes: &[u8]) -> ExchangeStep {
        let mut sent = Vec::new();
        loop {
            match self.packets.next(&mut bytes) {
                Ok(false) if sent.is_empty() => return ExchangeStep::Read,
                Ok(false) => return ExchangeStep::Write(sent),
                Ok(true) => {}
                Err(failure) => return ExchangeStep::Done(Err(of_packets(failure))),
            }
            match self.message() {
                ExchangeStep::Read => {}
                ExchangeStep::Write(bytes) => sent.extend(bytes),
                done @ ExchangeStep::Done(_) => return done,
            }
        }
    }

    /// Returns the allocated memory, in bytes.
    pub(in crate::probe) fn memory(&self) -> usize {
        let (group, public) = match &self.stage {
            ExchangeStage::Group => (0, 0),
            ExchangeStage::Reply { group, public, .. } => (group.len(), public.len()),
        };
        // The agreement has the group and an exponent.
        size_of::<Self>() + self.packets.memory() + size_of::<Agreement>() + 2 * group + public
    }

    /// Processes the message that was received.
    fn message(&mut self) -> ExchangeStep {
        let Some((&number, content)) = self.packets.payload().split_first() else {
            return ExchangeStep::Done(Err(HostKeyFailure::NoPacket));
        };
        match &self.stage {
            ExchangeStage::Group if number == SSH_MSG_GEX_GROUP => match choose_group(content) {
                Ok((stage, message)) => {
                    self.stage = stage;
                    ExchangeStep::Write(packet(&message))
                }
                Err(failure) => ExchangeStep::Done(Err(failure)),
            },
            ExchangeStage::Reply { agreement, public, group, message } if number == *message => {
                let ours = value(agreement, public);
                let reply = Reply::parse(content, agreement);
                let reply = reply.ok_or(HostKeyFailure::Malformed);
                ExchangeStep::Done(reply.and_then(|reply| {
                    let mut hash = self.hash.clone();
                    hash.add_string(reply.key);
                    hash.add(group);
                    reply.host_key(hash, agreement, ours, self.host_key)
                }))
            }
            _ => ExchangeStep::Done(Err(HostKeyFailure::OtherPacket)),
        }
    }
}

impl ExchangeStage {
    /// Returns the stage after our public value was sent, and the message that sends it. `messages` are
    /// the numbers of that message and of the reply.
    fn await_reply(agreement: Agreement, group: Vec<u8>, messages: (u8, u8)) -> (Self, Vec<u8>) {
        let public = agreement.public();
        let mut sent = vec![messages.0];
        value(&agreement, &public).put(&mut sent);
        let agreement = Box::new(agreement);
        (Self::Reply { agreement, public, group, message: messages.1 }, sent)
    }
}

/// Returns a public value in the form of its agreement.
fn value<'a>(agreement: &Agreement, bytes: &'a [u8]) -> PublicValue<'a> {
    if agreement.has_points() { PublicValue::Point(bytes) } else { PublicValue::Number(bytes) }
}

/// Returns the message that asks the server to choose a group (RFC 4419 §3).
fn group_request() -> Vec<u8> {
    [&[SSH_MSG_GEX_REQUEST][..], &group_sizes()].concat()
}

/// Returns the sizes in bits that a group may have and should have.
fn group_sizes() -> Vec<u8> {
    let sizes = [groups::BITS_MIN, groups::BITS_WANTED, groups::BITS_MAX];
    sizes.iter().flat_map(|size| size.to_be_bytes()).collect()
}

/// Reads the group that a server chose. Returns the next stage and the message to send.
fn choose_group(content: &[u8]) -> Result<(ExchangeStage, Vec<u8>), HostKeyFailure> {
    let mut reader = WireReader::new(content);
    let numbers = reader.unsigned().zip(reader.unsigned()).filter(|_| reader.is_empty());
    let (prime, generator) = numbers.ok_or(HostKeyFailure::Malformed)?;
    let group = DhGroup::chosen(prime, generator).ok_or(HostKeyFailure::BadGroup)?;
    let mut hashed = group_sizes();
    put_unsigned(&mut hashed, prime);
    put_unsigned(&mut hashed, generator);
    let agreement = Agreement::draw_in(group).ok_or(HostKeyFailure::NoRandomness)?;
    let messages = (SSH_MSG_GEX_INIT, SSH_MSG_GEX_REPLY);
    Ok(ExchangeStage::await_reply(agreement, hashed, messages))
}

/// The reply of a server.
struct Reply<'a> {
    key: &'a [u8],
    /// The server's public value.
    public: PublicValue<'a>,
    signature: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Parses a reply; `None` if a length is wrong.
    fn parse(content: &'a [u8], agreement: &Agreement) -> Option<Self> {
        let mut reader = WireReader::new(content);
        let key = reader.string()?;
        let public = if agreement.has_points() {
            PublicValue::Point(reader.string()?)
        } else {
            PublicValue::Number(reader.unsigned()?)
        };
        let signature = reader.string()?;
        reader.is_empty().then_some(Self { key, public, signature })
    }

    /// Returns the host key, with the result of its verification. The hash ends before our public value.
    fn host_key(
        &self,
        mut hash: ExchangeHash,
        agreement: &Agreement,
        ours: PublicValue<'_>,
        algorithm: &'static HostKeyAlgorithm,
    ) -> Result<HostKey, HostKeyFailure> {
        let key = ReceivedKey::parse(self.key, algorithm).ok_or(HostKeyFailure::Malformed)?;
        let (PublicValue::Point(bytes) | PublicValue::Number(bytes)) = self.public;
        let proof = match agreement.agree(bytes) {
            Some(secret) => {
                let mut rest = Vec::new();
                ours.put(&mut rest);
                self.public.put(&mut rest);
                put_unsigned(&mut rest, &secret);
                hash.add(&rest);
                key.verify(self.signature, &hash.finish())
            }
            None => Err(ProofFailure::InvalidExchange),
        };
        Ok(key.with_proof(proof))
    }
}

/// Returns the failure for bytes that are not a packet.
fn of_packets(failure: KexFailure) -> HostKeyFailure {
    match failure {
        KexFailure::Disconnected => HostKeyFailure::Disconnected,
        KexFailure::TooMuch => HostKeyFailure::TooMuch,
        _ => HostKeyFailure::NoPacket,
    }
}
