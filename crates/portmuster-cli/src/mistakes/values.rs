//! Mistakes about values of options.

use clap::{Arg, builder::PossibleValue};

use super::{
    edit::Edit,
    nearest::{nearest, slip},
};
use crate::command_line::{CommandLine, OptionValue, Role};

/// Options whose value is a number.
const NUMBERS: [&str; 6] = ["rate", "per_host", "in_flight", "workers", "threads", "retries"];

/// Options whose number may be `max`.
const CEILINGS: [&str; 2] = ["rate", "per_host"];

/// Units of a rate, which portmuster does not write.
const UNITS: [&str; 7] = ["/s", "/sec", "pps", "cps", "ps", "p/s", "/second"];

/// Words for no limit.
const NO_LIMIT: [&str; 6] = ["unlimited", "none", "no", "inf", "infinite", "infinity"];

/// Options whose values decide what a run finds, so that only a slip of the fingers is corrected.
const JUDGING: [&str; 3] = ["forbid", "allow", "show"];

/// Other names of values that decide what a run finds.
const OTHER_NAMES: [(&str, &str); 6] = [
    ("sshv1", "ssh-1"),
    ("ssh-v1", "ssh-1"),
    ("ssh1.99", "ssh-1"),
    ("sshd", "ssh"),
    ("telnetd", "telnet"),
    ("telnets", "telnet"),
];

/// Names of version 2 of ssh.
const SSH_2: [&str; 4] = ["ssh2", "ssh-2", "sshv2", "ssh-v2"];

/// Finds a number with separators, such as 10,000 or `10_000`, with a unit, or a word for no limit.
pub(super) fn number(line: &CommandLine) -> Option<Edit> {
    let mut values = NUMBERS.iter().flat_map(|&id| line.values(id).map(move |it| (id, it)));
    let (value, text, meant) = values.find_map(|(id, (value, text))| {
        let meant = number_meant(text, CEILINGS.contains(&id))?;
        Some((value, text, meant))
    })?;
    let reason = format!("{text:?} is not a number: write {meant}");
    Some(Edit::new(reason, line.with_value(value, &meant)))
}

/// Returns the number that a text means; `None` if it is one, or means none.
fn number_meant(text: &str, may_be_max: bool) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if may_be_max && text != "max" && (lower == "max" || NO_LIMIT.contains(&lower.as_str())) {
        return Some("max".to_owned());
    }
    let number = UNITS.iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(text).trim();
    let digits = number.strip_suffix(['k', 'K', 'M']).unwrap_or(number);
    let parts: Vec<_> = digits.split([',', '_', '\'']).collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
    let is_valid = parts.iter().all(is_number) && parts[1..].iter().all(|it| it.len() == 3);
    let zeros = if number.ends_with('M') { "000000" } else { "000" };
    let meant = match number.replace([',', '_', '\''], "") {
        meant if may_be_max => meant,
        // Other options take no thousands and millions.
        meant => match meant.strip_suffix(['k', 'K', 'M']) {
            Some(digits) => format!("{digits}{zeros}"),
            None => meant,
        },
    };
    (is_valid && meant != text).then_some(meant)
}

/// Finds a share of the targets whose parts are not separated by `/`.
pub(super) fn shard(line: &CommandLine) -> Option<Edit> {
    let (value, text) = line.values("shard").find(|(_, text)| !text.contains('/'))?;
    let separators = [":", ",", " of ", "of", "-", " "];
    let (part, of) = separators.iter().find_map(|it| text.split_once(it))?;
    let meant = format!("{part}/{of}");
    let reason = format!("{text:?} is not a part M/N: write {meant}");
    Some(Edit::new(reason, line.with_value(value, &meant)))
}

/// Finds a proxy without its scheme, or of another kind than SOCKS5.
pub(super) fn proxy(line: &CommandLine) -> Option<Edit> {
    let (value, text) = line.values("proxy").next()?;
    let Some((scheme, _)) = text.split_once("://") else {
        let is_address = text.contains(':') && !text.contains('/');
        let meant = format!("socks5://{text}");
        let reason = "the scheme of the proxy is missing";
        return is_address.then(|| Edit::new(reason, line.with_value(value, &meant)));
    };
    let is_other = ["http", "https", "socks4", "socks4a"].contains(&scheme);
    is_other.then(|| Edit::unknown(format!("--proxy: portmuster speaks SOCKS5 only, not {scheme}")))
}

/// Finds version 2 of ssh among values, which have no word for it.
pub(super) fn version_2(line: &CommandLine) -> Option<Edit> {
    let (value, part) = line.all_values().find_map(|(value, text)| {
        let is_2 = |part: &&str| SSH_2.contains(&part.to_ascii_lowercase().as_str());
        let part = text.split(',').find(is_2)?;
        JUDGING.contains(&value.id.as_str()).then_some((value, part))
    })?;
    let option = name_of(line, value);
    Some(Edit::unknown(format!(
        "{part:?} is not a value of {option}: there is none for version 2 of ssh; ssh means every ssh \
         server, and ssh-1 those that offer version 1"
    )))
}

/// Finds a misspelled value of an option that has certain values.
pub(super) fn misspelled_value(line: &CommandLine) -> Option<Edit> {
    let (value, text, meant) = line.all_values().find_map(|(value, text)| {
        let argument = line.definition(&value.id)?;
        Some((value, text, value_meant(argument, text)?))
    })?;
    let option = name_of(line, value);
    let reason = format!("{text:?} is not a value of {option}: write {meant}");
    Some(Edit::new(reason, line.with_value(value, &meant)))
}

/// Returns what a value means whose parts are known words; `None` if it is valid, or means nothing
/// known.
fn value_meant(argument: &Arg, text: &str) -> Option<String> {
    let known: Vec<_> = argument.get_possible_values();
    let names: Vec<_> =
        known.iter().filter(|it| !it.is_hide_set()).map(PossibleValue::get_name).collect();
    if names.is_empty() || text.is_empty() {
        return None;
    }
    let near = |part: &str| {
        if !JUDGING.contains(&argument.get_id().as_str()) {
            return nearest(part, names.iter().copied());
        }
        let lower = part.to_ascii_lowercase();
        let meant = OTHER_NAMES.iter().find(|(other, _)| *other == lower).map(|(_, name)| *name);
        let known = names.iter().copied().find(|name| Some(*name) == meant);
        known.or_else(|| slip(part, names.iter().copied()))
    };
    let Some(delimiter) = argument.get_value_delimiter() else {
        return (!names.contains(&text)).then(|| near(text))?.map(str::to_owned);
    };
    let parts = text.split([delimiter, ';', '|', '+', ' ']).filter(|part| !part.is_empty());
    let meant: Option<Vec<_>> = parts
        .map(|part| match names.iter().find(|name| **name == part) {
            Some(name) => Some(*name),
            None => near(part),
        })
        .collect();
    let meant = meant?.join(&delimiter.to_string());
    (meant != text && !meant.is_empty()).then_some(meant)
}

/// Finds a further value of an option after the first, separated by a space.
pub(super) fn value_after_value(line: &CommandLine) -> Option<Edit> {
    let (value, text, next) = line.all_values().find_map(|(value, text)| {
        let argument = line.definition(&value.id)?;
        argument.get_value_delimiter()?;
        let next = line.words().get(value.word + 1)?;
        let next_is_operand = line.role_at(value.word + 1) == Some(Role::Operand);
        let names = argument.get_possible_values();
        let is_value = |part: &str| names.iter().any(|it| it.get_name() == part);
        let bare = next.trim_matches(',');
        (next_is_operand && !bare.is_empty() && bare.split(',').all(is_value))
            .then_some((value, text, bare))
    })?;
    let option = name_of(line, value);
    let reason = format!(
        "{next:?} is a value of {option}, not a target: commas separate values; for a host of this \
         name, write its ports after it ({next}:22,23)"
    );
    let joined = format!("{},{next}", text.trim_end_matches(','));
    let without = CommandLine::new(line.replaced(value.word + 1, 1, []));
    Some(Edit::new(reason, without.with_value(value, &joined)))
}

/// Finds a misspelled argument of a command whose arguments are known words.
pub(super) fn misspelled_argument(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| ["list", "completions", "man"].contains(name))?;
    let positional = line.arguments().find(|arg| arg.is_positional())?;
    let (index, word, meant) = line
        .operands()
        .find_map(|(index, word)| Some((index, word, value_meant(positional, word)?)))?;
    let reason = format!("there is no {word:?}");
    Some(Edit::new(reason, line.replaced(index, 1, [meant])))
}

/// Finds an argument of such a command after an option that the command does not have, or as one.
pub(super) fn option_for_argument(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| ["list", "completions"].contains(name))?;
    let values = line.arguments().find(|arg| arg.is_positional())?.get_possible_values();
    let is_value = |word: &str| values.iter().any(|value| value.get_name() == word);
    let (index, word, instead) = line.flags().find_map(|(index, word)| {
        let long = word
            .strip_prefix("--")
            .filter(|long| line.arguments().all(|arg| arg.get_long() != Some(long)))?;
        let is_before = line.words().get(index + 1).is_some_and(|next| is_value(next));
        match long.split_once('=').map_or(long, |(_, value)| value) {
            value if is_value(value) => Some((index, word, Some(value.to_owned()))),
            _ if is_before => Some((index, word, None)),
            _ => None,
        }
    })?;
    let reason = format!("{word} is not an option: the argument stands alone");
    Some(Edit::new(reason, line.replaced(index, 1, instead)))
}

/// Returns the option of a value as it is written.
fn name_of(line: &CommandLine, value: &OptionValue) -> String {
    let long = line.definition(&value.id).and_then(Arg::get_long).unwrap_or(&value.id);
    format!("--{long}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_separators_and_units() {
        for (text, may_be_max, expected) in [
            ("10,000", true, Some("10000")),
            ("10k/s", true, Some("10k")),
            ("1_000pps", true, Some("1000")),
            ("Unlimited", true, Some("max")),
            ("unlimited", false, None),
            ("10k", false, Some("10000")),
            ("1M", false, Some("1000000")),
            ("10", true, None),
            ("10k", true, None),
            ("max", true, None),
            ("10,00", true, None),
            ("few", true, None),
            ("/s", true, None),
        ] {
            assert_eq!(number_meant(text, may_be_max).as_deref(), expected, "{text}");
        }
    }
}
