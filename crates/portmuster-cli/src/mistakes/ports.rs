//! Mistakes about ports.

use portmuster::targets::Ports;

use super::{edit::Edit, targets};
use crate::command_line::{CommandLine, Role};

/// The services whose names are often written in the place of their ports.
const SERVICES: [&str; 2] = ["ssh", "telnet"];

/// Signs of a range other than `-`.
pub(super) const RANGE_SIGNS: [&str; 9] =
    ["\u{2010}", "\u{2011}", "\u{2013}", "\u{2014}", "\u{2212}", "...", "..", "\u{2026}", "~"];

/// What a text means that is not a list of ports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PortsMeant {
    /// The list; empty: all of its ports are UDP ports.
    pub(super) list: String,
    /// The UDP ports that it lacks, as typed.
    udp: Vec<String>,
}

/// Returns what a text means that is not a list of ports; `None` if it is one, or means none.
pub(super) fn meant(text: &str) -> Option<PortsMeant> {
    if text.parse::<Ports>().is_ok() {
        return None;
    }
    let bare = text.trim().trim_matches(['[', ']', '(', ')', '{', '}', '"', '\'', ':', '=']);
    let mut meant = PortsMeant { list: String::new(), udp: Vec::new() };
    let mut is_udp = false;
    for item in bare.split([',', ';', '|', ' ', '+']).filter(|item| !item.is_empty()) {
        let lower = item.to_ascii_lowercase();
        let (of_udp, rest) = without_protocol(&lower);
        // In nmap's notation, a protocol applies to all ports up to the next one.
        is_udp = of_udp.unwrap_or(is_udp);
        if is_udp {
            meant.udp.push(item.to_owned());
            // `53/udp` is about itself only.
            is_udp = !item.contains('/');
            continue;
        }
        let comma = if meant.list.is_empty() { "" } else { "," };
        meant.list = format!("{}{comma}{}", meant.list, range_meant(rest));
    }
    let is_valid = meant.list.parse::<Ports>().is_ok() || !meant.udp.is_empty();
    is_valid.then_some(meant)
}

/// Returns whether an item names UDP, if it names a protocol, and the item without the protocol.
fn without_protocol(item: &str) -> (Option<bool>, &str) {
    let prefixes = ["t:", "tcp:", "tcp/", "s:", "port:", "port="];
    if let Some(rest) = prefixes.iter().find_map(|prefix| item.strip_prefix(prefix)) {
        return (Some(false), rest);
    }
    let of_udp = ["u:", "udp:", "udp/"].iter().find_map(|prefix| item.strip_prefix(prefix));
    if let Some(rest) = of_udp.or_else(|| item.strip_suffix("/udp")) {
        return (Some(true), rest);
    }
    match item.strip_suffix("/tcp") {
        Some(rest) => (Some(false), rest),
        None => (None, item.trim_matches(':')),
    }
}

/// Returns a range with both of its ends.
fn range_meant(item: &str) -> String {
    let sign = RANGE_SIGNS.iter().find(|sign| item.contains(**sign));
    let item = sign.map_or(item.to_owned(), |sign| item.replacen(sign, "-", 1));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    match item.split_once('-') {
        Some(("" | "0" | "1", "")) => "1-65535".to_owned(),
        Some((first, "")) if is_number(first) => format!("{first}-65535"),
        Some(("" | "0", last)) if is_number(last) => format!("1-{last}"),
        None if ["*", "all", "any"].contains(&item.as_str()) => "1-65535".to_owned(),
        _ => item,
    }
}

/// Finds a list of ports in the notation of another program.
pub(super) fn other_notation(line: &CommandLine) -> Option<Edit> {
    let (value, text, meant) =
        line.values("ports").find_map(|(value, text)| Some((value, text, meant(text)?)))?;
    if !meant.udp.is_empty() {
        let udp = meant.udp.join(",");
        let reason = format!("{udp} is not supported: portmuster checks TCP ports only");
        if meant.list.parse::<Ports>().is_err() {
            return Some(Edit::unknown(reason));
        }
        return Some(Edit::partial(reason, line.with_value(value, &meant.list)));
    }
    let reason = if meant.list == "1-65535" {
        format!("{text:?} is not a list of ports: all ports are 1-65535")
    } else if text.contains("T:") {
        format!("{text:?} is not a list of ports: all ports are TCP ports")
    } else {
        format!("{text:?} is not a list of ports: write {}", meant.list)
    };
    Some(Edit::new(reason, line.with_value(value, &meant.list)))
}

/// Finds a second `-p`.
pub(super) fn repeated(line: &CommandLine) -> Option<Edit> {
    let mut values = line.values("ports");
    let (first, second) = (values.next()?, values.next()?);
    let joined = joined(first.1, second.1);
    let without = CommandLine::new(line.without_option(second.0, []));
    let words = without.with_value(first.0, &joined);
    Some(Edit::new("-p is given twice: commas separate ports", words))
}

fn joined(list: &str, more: &str) -> String {
    format!("{},{}", list.trim_end_matches(','), more.trim_start_matches(','))
}

/// Returns the list of ports that an operand is: numbers, ranges, or the name of ssh or telnet.
pub(super) fn in_operand(word: &str) -> Option<String> {
    let starts_as_ports = word.trim_start_matches(':').starts_with(|it: char| it.is_ascii_digit());
    let lower = word.to_ascii_lowercase();
    if SERVICES.contains(&lower.as_str()) {
        return Some(lower);
    }
    if !starts_as_ports || word.contains('.') && !word.contains("..") {
        return None;
    }
    let has_protocol = ["/tcp", "/udp"].iter().any(|it| lower.ends_with(it));
    if word.contains('/') && !has_protocol || word.matches(':').count() > 1 {
        return None;
    }
    if word.parse::<Ports>().is_ok() {
        return Some(word.to_owned());
    }
    meant(word).filter(|meant| meant.udp.is_empty()).map(|meant| meant.list)
}

/// Finds ports among the targets.
pub(super) fn among_targets(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.has_targets())?;
    let (ports, hosts): (Vec<_>, Vec<_>) =
        line.operands().partition(|(_, word)| in_operand(word).is_some());
    let given = line.values("ports").next();
    let has_list = line.values("inputs").next().is_some();
    if ports.is_empty() || hosts.is_empty() && given.is_none() && !has_list {
        return alone(&ports);
    }
    let typed: Vec<_> = ports.iter().map(|(_, word)| format!("{word:?}")).collect();
    let typed = match &typed[..] {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => typed.concat(),
    };
    let list = ports.iter().filter_map(|(_, word)| in_operand(word));
    let list = list.reduce(|list, more| joined(&list, &more))?;
    let mut words = line.words().to_vec();
    for (index, _) in ports.iter().rev() {
        words.remove(*index);
    }
    let is_range = ports.iter().any(|(_, word)| word.contains(['-', ',']));
    let (what, is) = match ports.len() {
        1 if is_range => ("a range or list of ports, not a target", "is"),
        1 => ("a port, not a target", "is"),
        _ => ("ports", "are"),
    };
    let service = ports.iter().find(|(_, word)| !word.contains(char::is_numeric));
    let as_host = service.map_or(String::new(), |(_, service)| {
        format!("; for a host of this name, write {service}:22")
    });
    let reason = |rule: &str| format!("{typed} {is} {what}: {rule}{as_host}");
    let without = CommandLine::new(words);
    if let Some((value, text)) = given {
        let before = ports.iter().filter(|(index, _)| *index < value.word).count();
        let moved = value.moved_back(before);
        let words = without.with_value(&moved, &joined(text, &list));
        return Some(Edit::new(reason("commas separate ports"), words));
    }
    let [(index, host)] = hosts[..] else {
        if hosts.iter().any(|(_, host)| targets::has_ports(host)) {
            return Some(Edit::unknown(reason("a colon separates host and port")));
        }
        let words = without.replaced(command + 1, 0, ["-p".to_owned(), list]);
        return Some(Edit::new(reason("-p lists the ports of all targets"), words));
    };
    let index = index - ports.iter().filter(|(port, _)| *port < index).count();
    let host = targets::with_ports(host.trim_end_matches(':'), &list);
    let words = without.replaced(index, 1, [host]);
    Some(Edit::new(reason("a colon separates host and port"), words))
}

/// Returns the mistake of ports without hosts.
fn alone(ports: &[(usize, &str)]) -> Option<Edit> {
    let (_, word) = ports.first()?;
    let list = in_operand(word)?;
    let is_name = !word.contains(char::is_numeric);
    let as_host =
        if is_name { format!("; for a host of this name, write {word}:22") } else { String::new() };
    Some(Edit::unknown(format!(
        "{word:?} is a port, not a target: name the hosts, as in 10.0.0.0/24 -p {list}{as_host}"
    )))
}

/// Finds `-p` of `explain`, whose target has its port.
pub(super) fn of_explain(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "explain")?;
    let (value, list) = line.values("ports").next()?;
    let operands: Vec<_> = line.operands().collect();
    let [(_, host)] = operands[..] else { return None };
    let target = targets::with_ports(host, list);
    let reason = "explain has no option -p: a colon separates host and port";
    let without = CommandLine::new(line.without_option(value, []));
    let (index, _) = without.operands().find(|(_, word)| *word == host)?;
    debug_assert_eq!(without.role_at(index), Some(Role::Operand));
    Some(Edit::new(reason, without.replaced(index, 1, [target])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_other_notations_are_understood() {
        for (text, expected) in [
            ("-", "1-65535"),
            ("*", "1-65535"),
            ("all", "1-65535"),
            ("0-65535", "1-65535"),
            ("22-", "22-65535"),
            ("-1024", "1-1024"),
            ("T:22,23", "22,23"),
            ("22/tcp,23/tcp", "22,23"),
            ("22;23", "22,23"),
            ("22 23", "22,23"),
            ("22,23,", "22,23"),
            ("22\u{2013}25", "22-25"),
            ("22..25", "22-25"),
            ("[22,23]", "22,23"),
            ("tcp/22", "22"),
        ] {
            assert_eq!(meant(text).map(|it| it.list).as_deref(), Some(expected), "{text}");
        }
        for text in ["22", "22,23", "ssh", "70000", "x", "", "22-x"] {
            assert_eq!(meant(text), None, "{text}");
        }
    }

    #[test]
    fn udp_ports_are_separate() {
        let udp = |text: &str| meant(text).map(|it| (it.list, it.udp.join(" ")));
        assert_eq!(udp("T:22,U:53,54"), Some(("22".into(), "U:53 54".into())));
        assert_eq!(udp("53/udp,22"), Some(("22".into(), "53/udp".into())));
        assert_eq!(udp("U:53"), Some((String::new(), "U:53".into())));
    }
}
