//! Decides what one DNS reply proves. Pure: bytes in, meaning out.
//!
//! Invariant: only a complete, well-formed reply to the question is [`DnsReply::Absent`]. A reply that is
//! damaged, contradicts itself or refers to other servers is [`DnsReply::Unusable`].

use domain::{
    base::{
        Message, ParsedName,
        iana::{Class, Opcode, Rcode, Rtype},
        wire::ParseError,
    },
    rdata::Cname,
};

/// What a reply says about the records of the type in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DnsReply {
    /// The name does not exist, or has no record of this type.
    Absent,
    /// The name has at least one record of this type.
    Present,
    /// The reply is cut short: the question has to be repeated over TCP.
    Truncated,
    /// The reply proves nothing.
    Unusable,
}

/// Reads the reply to `query`, which has one question.
pub(super) fn read(reply: &[u8], query: &Message<Vec<u8>>) -> DnsReply {
    let Ok(reply) = Message::from_slice(reply) else { return DnsReply::Unusable };
    let header = reply.header();
    if !reply.is_answer(query) || header.opcode() != Opcode::QUERY {
        return DnsReply::Unusable;
    }
    if header.tc() {
        return DnsReply::Truncated;
    }
    read_records(reply).unwrap_or(DnsReply::Unusable)
}

fn read_records(reply: &Message<[u8]>) -> Result<DnsReply, ParseError> {
    let header = reply.header();
    let question = reply.sole_question()?;
    let (_, answer, authority, additional) = reply.sections()?;
    for record in additional {
        record?;
    }
    let Some(owner) = last_alias(reply)? else { return Ok(DnsReply::Unusable) };
    let (mut found, mut misplaced) = (false, false);
    for record in answer {
        let record = record?;
        if record.rtype() == question.qtype() {
            let has_length = Some(record.rdlen()) == length(record.rtype());
            let is_found = has_length && record.class() == Class::IN && record.owner() == owner;
            found |= is_found;
            misplaced |= !is_found;
        }
    }
    let (mut has_ns, mut has_soa) = (false, false);
    for record in authority {
        let rtype = record?.rtype();
        has_ns |= rtype == Rtype::NS;
        has_soa |= rtype == Rtype::SOA;
    }
    // RFC 2308 §2.2: a referral has no SOA. A server that neither knows the zone nor recurses has
    // no answer to give.
    let is_referral = !header.aa() && has_ns && !has_soa;
    let is_lame = !header.aa() && !header.ra();
    Ok(match header.rcode() {
        _ if misplaced => DnsReply::Unusable,
        Rcode::NXDOMAIN if !found => DnsReply::Absent,
        Rcode::NOERROR if found => DnsReply::Present,
        Rcode::NOERROR if !is_referral && !is_lame => DnsReply::Absent,
        _ => DnsReply::Unusable,
    })
}

/// Returns the end of the chain of aliases that begins at the name in question: the name itself where
/// there is none. `None` if the chain has no end, or more than 20 aliases.
fn last_alias(reply: &Message<[u8]>) -> Result<Option<ParsedName<&[u8]>>, ParseError> {
    for alias in reply.answer()?.limit_to::<Cname<_>>() {
        alias?;
    }
    Ok(reply.canonical_name())
}

/// Returns the length of an address of this type, in bytes.
fn length(rtype: Rtype) -> Option<u16> {
    match rtype {
        Rtype::A => Some(4),
        Rtype::AAAA => Some(16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::base::{MessageBuilder, Name};

    use super::*;

    fn query() -> Message<Vec<u8>> {
        let mut question = MessageBuilder::new_vec().question();
        let name = Name::<Vec<u8>>::vec_from_str("db.example.").expect("a name");
        question.push((name, Rtype::A)).expect("there is room");
        question.into_message()
    }

    const NO_DATA: u16 = 0x8180;
    const NXDOMAIN: u16 = 0x8183;
    /// The question's name, by reference.
    const SELF: &[u8] = b"\xc0\x0c";
    const OTHER: &[u8] = b"\x05other\x00";
    const A: u16 = 1;
    const NS: u16 = 2;
    const CNAME: u16 = 5;
    const SOA: u16 = 6;
    const TXT: u16 = 16;

    fn record(owner: &[u8], rtype: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).expect("test data is short");
        [owner, &rtype.to_be_bytes(), b"\x00\x01\x00\x00\x00\x05", &length.to_be_bytes(), data]
            .concat()
    }

    fn reply(flags: u16, answer: &[Vec<u8>], authority: &[Vec<u8>]) -> Vec<u8> {
        let mut reply = query().as_slice().to_vec();
        reply[2..4].copy_from_slice(&flags.to_be_bytes());
        reply[7] = u8::try_from(answer.len()).expect("few");
        reply[9] = u8::try_from(authority.len()).expect("few");
        [reply, answer.concat(), authority.concat()].concat()
    }

    #[test]
    fn only_a_whole_negative_reply_proves_absence() {
        let address = || record(SELF, A, &[127, 0, 0, 1]);
        let alias = |owner, to| record(owner, CNAME, to);
        let (ns, soa) = (record(SELF, NS, OTHER), record(SELF, SOA, &[0; 22]));
        #[rustfmt::skip]
        let table = [
            ("no data",                  NO_DATA,  vec![],                                    vec![],         DnsReply::Absent),
            ("no data with SOA",         NO_DATA,  vec![],                                    vec![soa.clone()], DnsReply::Absent),
            ("no such name",             NXDOMAIN, vec![],                                    vec![soa.clone()], DnsReply::Absent),
            ("address",                  NO_DATA,  vec![address()],                           vec![],         DnsReply::Present),
            ("address of an alias",      NO_DATA,  vec![alias(SELF, OTHER), record(OTHER, A, &[127, 0, 0, 1])], vec![], DnsReply::Present),
            ("alias without an address", NO_DATA,  vec![alias(SELF, OTHER)],                  vec![],         DnsReply::Absent),
            ("alias to nothing",         NXDOMAIN, vec![alias(SELF, OTHER)],                  vec![],         DnsReply::Absent),
            ("another type",             NO_DATA,  vec![record(SELF, TXT, b"\x01x")],         vec![],         DnsReply::Absent),
            ("alias to itself",          NO_DATA,  vec![alias(SELF, SELF)],                   vec![],         DnsReply::Unusable),
            ("damaged alias",            NO_DATA,  vec![alias(SELF, b"\xc0")],                vec![],         DnsReply::Unusable),
            ("address of another name",  NO_DATA,  vec![record(OTHER, A, &[127, 0, 0, 1])],   vec![],         DnsReply::Unusable),
            ("no such name, but found",  NXDOMAIN, vec![address()],                           vec![],         DnsReply::Unusable),
            ("short address",            NO_DATA,  vec![record(SELF, A, &[127, 0, 0])],       vec![],         DnsReply::Unusable),
            ("referral",                 NO_DATA,  vec![],                                    vec![ns.clone()], DnsReply::Unusable),
            ("no data with NS and SOA",  NO_DATA,  vec![],                                    vec![ns, soa],  DnsReply::Absent),
            ("truncated",                0x8380,   vec![],                                    vec![],         DnsReply::Truncated),
            ("lame",                     0x8000,   vec![],                                    vec![],         DnsReply::Unusable),
            ("query",                    0x0100,   vec![],                                    vec![],         DnsReply::Unusable),
            ("update",                   0xa980,   vec![],                                    vec![],         DnsReply::Unusable),
            ("FORMERR",                  0x8181,   vec![],                                    vec![],         DnsReply::Unusable),
            ("SERVFAIL",                 0x8182,   vec![],                                    vec![],         DnsReply::Unusable),
            ("NOTIMP",                   0x8184,   vec![],                                    vec![],         DnsReply::Unusable),
            ("REFUSED",                  0x8185,   vec![],                                    vec![],         DnsReply::Unusable),
            ("YXDOMAIN",                 0x8186,   vec![],                                    vec![],         DnsReply::Unusable),
            ("NOTAUTH",                  0x8189,   vec![],                                    vec![],         DnsReply::Unusable),
        ];
        for (what, flags, answer, authority, expected) in table {
            let reply = reply(flags, &answer, &authority);
            assert_eq!(read(&reply, &query()), expected, "{what}");
            // Each record is needed: a reply that is cut anywhere proves nothing.
            for length in 0..reply.len() {
                let cut = read(&reply[..length], &query());
                assert!(cut == DnsReply::Unusable || expected == DnsReply::Truncated, "{what}");
            }
        }
    }

    #[test]
    fn reply_to_another_question_is_unusable() {
        let negative = reply(NO_DATA, &[], &[]);
        let changed = |at: usize, byte: u8| {
            let mut reply = negative.clone();
            reply[at] = byte;
            read(&reply, &query())
        };
        assert_eq!(changed(13, b'D'), DnsReply::Absent, "names have no case");
        assert_eq!(changed(13, b'x'), DnsReply::Unusable, "another name");
        assert_eq!(changed(25, 28), DnsReply::Unusable, "another type");
        assert_eq!(changed(1, 9), DnsReply::Unusable, "another number");
        assert_eq!(changed(5, 0), DnsReply::Unusable, "no question");
        assert_eq!(changed(7, 1), DnsReply::Unusable, "a record that is missing");
        assert_eq!(changed(11, 1), DnsReply::Unusable, "an additional record that is missing");
    }
}
