//! The lines of outcomes that have no conversation: nearly all of a run, and the same keys each
//! time.
//!
//! Invariant: a line is to the byte what the [row](crate::sink::Row) of the outcome is written as.

use std::borrow::Cow;

use crate::{
    outcome::{Outcome, Times, Verdict},
    sink::row::{address, microseconds, timestamp},
    targets::Host,
};

/// Adds the line, without its end; false when the outcome has more to say, and nothing is added.
///
/// Written as a row it takes four times as long, which for a target that refuses is a part in ten
/// of all that is done.
pub(super) fn write(outcome: &Outcome, line: &mut Vec<u8>) -> bool {
    let Outcome { target, endpoint, verdict, attempts, time, .. } = outcome;
    let (Host::Address(host), None, Some(endpoint)) = (&target.host, &target.label, endpoint)
    else {
        return false;
    };
    let (Verdict { state, details: None, service: None, rule: None, .. }, Cow::Borrowed(reason)) =
        (verdict, verdict.reason.name())
    else {
        return false;
    };
    let Times { connect: None, first_byte: None, total } = verdict.times else { return false };
    let Ok(total) = u32::try_from(microseconds(total)) else { return false };
    if !verdict.banner.is_empty() {
        return false;
    }
    let host_text = address(*host);
    add(line, br#"{"schema":1,"host":""#);
    line.extend_from_slice(host_text.as_bytes());
    add(line, br#"","port":"#);
    add_number(line, target.port);
    add(line, br#","open":false,"state":""#);
    line.extend_from_slice(state.name().as_bytes());
    add(line, br#"","reason":""#);
    line.extend_from_slice(reason.as_bytes());
    add(line, br#"","address":""#);
    if endpoint.ip() == *host {
        line.extend_from_slice(host_text.as_bytes());
    } else {
        line.extend_from_slice(address(endpoint.ip()).as_bytes());
    }
    add(line, br#"","total_ms":"#);
    add_thousandths(line, total);
    add(line, br#","attempts":"#);
    add_number(line, *attempts);
    add(line, br#","time":""#);
    line.extend_from_slice(timestamp(*time).as_bytes());
    add(line, br#""}"#);
    true
}

/// Adds bytes whose number is known to the compiler, which then copies them in place.
fn add<const LENGTH: usize>(line: &mut Vec<u8>, part: &[u8; LENGTH]) {
    line.extend_from_slice(part);
}

fn add_number(line: &mut Vec<u8>, number: impl itoa::Integer) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Adds a number of thousandths as a decimal fraction, as short as it can be.
fn add_thousandths(line: &mut Vec<u8>, number: u32) {
    add_number(line, number / 1000);
    let mut rest = number % 1000;
    line.push(b'.');
    for unit in [100, 10, 1] {
        line.push(b"0123456789"[(rest / unit) as usize]);
        rest %= unit;
        if rest == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;
    use crate::{
        clock::Clock,
        outcome::{PortState, Reason},
        sink::Row,
        targets::Target,
    };

    fn reasons() -> Vec<Reason> {
        vec![Reason::Refused, Reason::NoAnswer, Reason::Prohibited, Reason::NoRoute]
    }

    proptest! {
        #[test]
        fn a_plain_line_is_what_its_row_is_written_as(
            host: IpAddr, other: IpAddr, is_other: bool, port: u16, attempts: u32,
            nanoseconds in 0..u64::from(u32::MAX) * 1000, since_1970 in 0_u64..1 << 62,
            state in prop::sample::select(vec![
                PortState::Closed, PortState::Filtered, PortState::Unchecked,
            ]),
            reason in prop::sample::select(reasons()),
        ) {
            let endpoint = (if is_other { other } else { host }, port);
            let total = Duration::from_nanos(nanoseconds);
            let outcome = Outcome {
                target: Target::from((host, port)),
                endpoint: Some(endpoint.into()),
                verdict: Verdict::unconnected(state, reason, total),
                attempts,
                position: 0,
                time: std::time::SystemTime::UNIX_EPOCH + Duration::from_nanos(since_1970),
            };
            let mut line = Vec::new();
            prop_assert!(write(&outcome, &mut line));
            let mut row = Vec::new();
            let mut serializer =
                serde_json::ser::Serializer::with_formatter(&mut row, super::super::Visible);
            Row::from(&outcome).serialize(&mut serializer).expect("a vector takes everything");
            prop_assert_eq!(String::from_utf8_lossy(&line), String::from_utf8_lossy(&row));
        }
    }

    #[test]
    fn what_has_more_to_say_is_left_to_its_row() {
        let verdict = || Verdict::unconnected(PortState::Closed, Reason::Refused, Duration::ZERO);
        let outcome = |target: Target| Outcome {
            target,
            endpoint: Some(([192, 0, 2, 1], 22).into()),
            verdict: verdict(),
            position: 0,
            attempts: 1,
            time: Clock::start().wall_start(),
        };
        let address = || Target::from((IpAddr::from([192, 0, 2, 1]), 22));
        let labelled = Target { label: Some("core-sw1".into()), ..address() };
        let named = Target::from(("db.example", 22));
        let unconnected = Outcome { endpoint: None, ..outcome(address()) };
        let greeted = Verdict { banner: b"hello".to_vec(), ..verdict() };
        let timed = Times { connect: Some(Duration::ZERO), ..Times::default() };
        let accepted = Verdict { times: timed, ..verdict() };
        for odd in [
            outcome(labelled),
            outcome(named),
            unconnected,
            Outcome { verdict: greeted, ..outcome(address()) },
            Outcome { verdict: accepted, ..outcome(address()) },
        ] {
            let mut line = Vec::new();
            assert!(!write(&odd, &mut line) && line.is_empty(), "{odd:?}");
        }
    }
}
