//! Value parsers and defaults that several commands share.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    str::FromStr,
    time::Duration,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::SignedDuration;
use portmuster::{
    Method,
    config::{HostKeyProbing, Patience, defaults},
    sink::TableOrder,
    targets::{Ports, PortsError, Shard, ShardError},
};

/// Returns how many connections `compare` opens at the same time.
pub(super) fn in_flight() -> NonZeroUsize {
    NonZeroUsize::new(defaults::IN_FLIGHT_MIN).unwrap_or(NonZeroUsize::MIN)
}

/// Parses the name of a method.
pub(super) fn method() -> impl TypedValueParser<Value = Method> {
    let names = Method::ALL.map(Method::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Method>())
}

/// Parses the name of a patience.
pub(super) fn patience() -> impl TypedValueParser<Value = Patience> {
    let names = Patience::ALL.map(Patience::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Patience>())
}

/// Parses the name of a choice of host keys.
pub(super) fn host_keys() -> impl TypedValueParser<Value = HostKeyProbing> {
    let names = HostKeyProbing::ALL.map(HostKeyProbing::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<HostKeyProbing>())
}

/// Parses the name of an order of rows.
pub(super) fn table_order() -> impl TypedValueParser<Value = TableOrder> {
    let names = TableOrder::ALL.map(TableOrder::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<TableOrder>())
}

/// Parses a whole number of at least 1.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number of at least 1".to_owned())
}

/// Parses the value of `--rounds`.
pub(super) fn rounds(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "expected a whole number of at least 1".to_owned())
}

/// Parses the value of `--retries`.
pub(super) fn retries(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u32::MAX))
}

/// Parses the value of `--seed`.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// Parses `M/N`, part M of N.
pub(super) fn shard(text: &str) -> Result<Shard, String> {
    text.parse().map_err(|error: ShardError| error.to_string())
}

/// Parses a list of ports, ranges and service names.
pub(super) fn ports(list: &str) -> Result<Ports, String> {
    list.parse().map_err(|error: PortsError| error.to_string())
}

/// Parses a duration with its unit, longer than zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        if !text.is_empty() && text.bytes().all(|byte| byte == b'0' || byte == b'.') {
            return Err("the duration must be longer than 0s".to_owned());
        }
        return Err(format!("the unit is missing: use {text}s, {text}ms or {text}m"));
    }
    let time: SignedDuration =
        text.parse().map_err(|_| "expected a duration such as 10s, 500ms or 1m30s".to_owned())?;
    match Duration::try_from(time) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("the duration must be longer than 0s".to_owned()),
    }
}

/// An upper limit; `None` means no limit and is written `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ceiling(pub(super) Option<NonZeroU32>);

impl FromStr for Ceiling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self(None));
        }
        let number = scaled(text).and_then(NonZeroU32::new);
        number.map(|number| Self(Some(number))).ok_or_else(|| {
            format!(
                "expected a whole number from 1 to {}, one of thousands or millions such as 10k or \
                 1M, or \"max\" for no limit",
                u32::MAX
            )
        })
    }
}

/// Parses a whole number, with `k` for thousands or `M` for millions.
fn scaled(text: &str) -> Option<u32> {
    let (number, scale) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1_000),
        None => text.strip_suffix('M').map_or((text, 1), |number| (number, 1_000_000)),
    };
    number.parse::<u32>().ok()?.checked_mul(scale)
}

impl std::fmt::Display for Ceiling {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(number) => number.fmt(formatter),
            None => formatter.write_str("max"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_may_be_in_thousands_and_millions() {
        let parsed = |text: &str| text.parse().map(|Ceiling(limit)| limit.map(NonZeroU32::get));
        for (text, expected) in
            [("10", Some(10)), ("10k", Some(10_000)), ("2K", Some(2_000)), ("1M", Some(1_000_000))]
        {
            assert_eq!(parsed(text), Ok(expected), "{text}");
        }
        assert_eq!(parsed("max"), Ok(None));
        for text in ["0", "0k", "k", "1m", "1.5k", "-1", "5000M", "10kk", "10 k", "MAX"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_require_a_unit_and_must_be_positive() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("10").is_err_and(|error| error.contains("10s")));
        for text in ["0s", "-1s", "", "s", "tens"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
