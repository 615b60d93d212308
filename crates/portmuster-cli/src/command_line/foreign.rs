//! Options of other programs that check networks, and what portmuster has in their place.

mod conversions;

pub(crate) use self::conversions::timing;
use self::conversions::{
    all_outputs, any, format_named, grepable, is_debug_level, is_netcat_scan, is_no_file_after_l,
    is_number, is_output, is_ping, is_ports, is_scan, is_scan_with_udp, is_timing, is_version_scan,
    output, output_words, proxy, proxy_with_names, range, seconds, targets,
};
use super::file_name::is_file_name;

/// An option of another program that portmuster does not have.
pub(crate) struct ForeignOption {
    /// The program; empty: no particular one.
    origin: &'static str,
    /// The option as typed, up to a value in the same word.
    name: &'static str,
    value: Value,
    instead: Instead,
}

/// Where the value of an option is.
#[derive(Clone, Copy)]
enum Value {
    /// It has none.
    No,
    /// In the next word, or after `=`.
    Next,
    /// In the next word if this is true of that word; otherwise it has none.
    NextIf(fn(&str) -> bool),
    /// In the same word if this is true of it, or in the next word.
    Joined(fn(&str) -> bool),
    /// In the same word, and this must be true of it.
    Rest(fn(&str) -> bool),
}

/// What to type in the place of an option.
#[derive(Clone, Copy)]
enum Instead {
    /// Nothing, because portmuster does this anyway, as the text says.
    Needless(&'static str),
    /// Nothing, because portmuster can't do this; the text says why, or what does it.
    Unsupported(&'static str),
    /// This option with the same value. The text is the option with a placeholder.
    Option(&'static str),
    /// These words.
    Words(&'static [&'static str]),
    /// The value alone, as a target.
    Target,
    /// An output in this format to the same file.
    Output(&'static str),
    /// An output in the format that is the value.
    Format,
    /// The words that the function makes of the value; the text is the usual form.
    Made(fn(&str) -> Option<Vec<String>>, &'static str),
}

/// What to type in the place of an option of another program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Substitute {
    /// These words, which do what the option does.
    Words(Vec<String>),
    /// Nothing, because portmuster has nothing that does what the option does.
    Lost,
    /// The option has no value, which the words would need.
    NoValue,
}

use Instead::{Format, Made, Needless, Option as Same, Output, Target, Unsupported, Words};
use Value::{Joined, Next, NextIf, No, Rest};

const PROXY: &str = "--proxy socks5://HOST:PORT";
const CONNECTS: &str = "portmuster always makes complete TCP connections";
const IDENTIFIES: &str = "portmuster always identifies ssh and telnet, and the version of ssh";
const NO_PING: &str = "portmuster always connects, without a ping before it";
const PING_SCAN: &str = "portmuster connects to ports, and pings no hosts";
const ONLY_TCP: &str = "portmuster checks TCP only; for UDP, use nmap -sU";
const NO_SYSTEMS: &str =
    "portmuster identifies ssh and telnet, but no operating systems; use nmap -O";
const NO_SCRIPTS: &str =
    "portmuster runs no scripts; it reads the algorithms of ssh servers itself";
const EVERYTHING: &str =
    "portmuster identifies ssh and telnet, but no operating systems and routes";
const NAMES: &str = "portmuster never looks up the names of addresses";
const PORTS: &str = "portmuster checks the ports 22 and 23, or those of -p LIST";
const ALWAYS_RANDOM: &str = "the order is random by default";
const PACE: &str = "portmuster sets its pace by --rate and --in-flight";
const DISGUISE: &str = "portmuster makes ordinary connections, and disguises nothing";
const BY_SOURCE: &str = "to choose the interface, use --source ADDRESS";
const RESOLVER: &str = "portmuster asks the resolver of the system";
const NO_LOGIN: &str = "portmuster logs in nowhere";
const NO_RANDOM: &str = "portmuster chooses no targets at random: name networks";
const NO_PORT_EXCLUDES: &str = "to exclude a port of a host, use --exclude HOST:PORT";

#[rustfmt::skip]
static OPTIONS: &[ForeignOption] = &[
    // Targets.
    row("nmap", "-iL", Joined(is_no_file_after_l), Same("-i FILE")),
    row("nmap", "-il", NextIf(is_file_name), Same("-i FILE")),
    row("zmap", "-w", NextIf(is_file_name), Same("-i FILE")),
    row("zmap", "-b", NextIf(is_file_name), Same("--exclude-file FILE")),
    row("", "--url", Next, Target),
    row("rustscan", "--addresses", Next, Made(targets, "-i FILE, or TARGET")),
    row("nmap", "-iR", Next, Unsupported(NO_RANDOM)),
    row("masscan", "--includefile", Next, Same("-i FILE")),
    row("ssh-keyscan", "-f", NextIf(is_file_name), Same("-i FILE")),
    row("nmap", "-f", No, Unsupported(DISGUISE)),
    row("naabu", "-l", NextIf(is_file_name), Same("-i FILE")),
    row("naabu", "-list", NextIf(is_file_name), Same("-i FILE")),
    row("ssh", "-l", Next, Unsupported(NO_LOGIN)),
    row("", "--file", Next, Same("-i FILE")),
    row("", "--hosts", Next, Made(targets, "-i FILE, or TARGET")),
    row("", "--targets", Next, Made(targets, "-i FILE, or TARGET")),
    row("", "--target-file", Next, Same("-i FILE")),
    row("", "--targets-file", Next, Same("-i FILE")),
    row("", "--input-file", Next, Same("-i FILE")),
    row("", "--from-file", Next, Same("-i FILE")),
    row("", "--host", Next, Target),
    row("", "--target", Next, Target),
    row("", "--ip", Next, Target),
    row("", "--address", Next, Target),
    row("", "--cidr", Next, Target),
    row("", "--network", Next, Target),
    row("curl", "-x", Next, Made(proxy, PROXY)),
    row("curl", "--socks5", Next, Made(proxy, PROXY)),
    row("curl", "--socks5-hostname", Next, Made(proxy_with_names, PROXY)),
    row("masscan", "--range", Next, Made(range, "TARGET, or -p LIST")),
    row("", "-H", Next, Target),
    row("rustscan", "-a", Next, Made(targets, "-i FILE, or TARGET")),
    row("nmap", "--excludefile", Next, Same("--exclude-file FILE")),
    row("naabu", "--exclude-hosts", Next, Same("--exclude TARGET")),
    row("nmap", "--exclude-ports", Next, Unsupported(NO_PORT_EXCLUDES)),
    row("nmap", "-sL", No, Words(&["--list"])),
    row("", "--dry-run", No, Words(&["--list"])),
    row("", "--dryrun", No, Words(&["--list"])),
    // Ports.
    row("", "-P", NextIf(is_ports), Same("-p LIST")),
    row("nmap", "-F", No, Unsupported(PORTS)),
    row("nmap", "--top-ports", Next, Unsupported(PORTS)),
    row("nmap", "--port-ratio", Next, Unsupported(PORTS)),
    // Outputs.
    row("nmap", "-oN", Joined(any), Output("table")),
    row("nmap", "-oX", Joined(any), Output("xml")),
    row("nmap", "-oG", Joined(any), Made(grepable, "-o csv=FILE; portmuster writes no grepable output")),
    row("nmap", "-oA", Joined(any), Made(all_outputs, "-o table=FILE and -o xml=FILE; portmuster writes no grepable output")),
    row("nmap", "-oS", Joined(any), Output("table")),
    row("nmap", "-ox", Next, Output("xml")),
    row("nmap", "-on", Next, Output("table")),
    row("masscan", "-oB", Next, Unsupported("portmuster writes no binary output; for programs, use -o jsonl=FILE")),
    row("nmap", "-oH", Next, Output("html")),
    row("masscan", "-oL", Joined(any), Output("list")),
    row("masscan", "-oJ", Joined(any), Output("jsonl")),
    row("masscan", "-oD", Joined(any), Output("jsonl")),
    row("masscan", "--output-format", Next, Format),
    row("masscan", "--output-filename", Next, Made(output, "-o FORMAT=FILE")),
    row("", "--output-file", Next, Made(output, "-o FORMAT=FILE")),
    row("", "--outfile", Next, Made(output, "-o FORMAT=FILE")),
    row("", "--format", Next, Format),
    row("", "--json", NextIf(is_output), Output("jsonl")),
    row("", "--jsonl", NextIf(is_output), Output("jsonl")),
    row("", "--csv", NextIf(is_output), Output("csv")),
    row("", "--xml", NextIf(is_output), Output("xml")),
    row("", "--html", NextIf(is_output), Output("html")),
    row("", "--sarif", NextIf(is_output), Output("sarif")),
    row("", "--sqlite", NextIf(is_output), Output("sqlite")),
    row("", "-j", NextIf(is_output), Output("jsonl")),
    row("ssh-audit", "-jj", NextIf(is_output), Output("jsonl")),
    row("", "--output-dir", Next, Unsupported("each output has a file of its own: -o FORMAT=FILE")),
    row("nmap", "--append-output", No, Words(&["--append"])),
    row("nmap", "--open", No, Words(&["--show", "open"])),
    row("masscan", "--open-only", No, Words(&["--show", "open"])),
    row("", "--only-open", No, Words(&["--show", "open"])),
    row("", "--all", No, Words(&["--show", "all"])),
    row("", "--only", Next, Same("--show WHICH")),
    row("", "--filter", Next, Same("--show WHICH")),
    row("", "--service", Next, Same("--show WHICH")),
    row("", "--services", Next, Same("--show WHICH")),
    row("", "--overwrite", No, Words(&["--force"])),
    row("", "--banner", No, Needless(IDENTIFIES)),
    row("", "--fail-on", Next, Same("--forbid THINGS")),
    row("nmap", "--reason", No, Needless("rows always contain the reason")),
    row("masscan", "--banners", No, Needless(IDENTIFIES)),
    row("nmap", "--stylesheet", Next, Unsupported("name a stylesheet to the program that shows the XML")),
    row("nmap", "--no-stylesheet", No, Needless("XML names no stylesheet")),
    row("nmap", "--webxml", No, Unsupported("name a stylesheet to the program that shows the XML")),
    row("nmap", "--stats-every", Next, Needless("a terminal always shows the progress")),
    row("", "--silent", No, Words(&["--quiet"])),
    row("", "--debug", No, Words(&["--verbose"])),
    row("nmap", "-d", Rest(is_debug_level), Words(&["--verbose"])),
    row("", "--no-color", No, Words(&["--color", "never"])),
    row("", "--no-colour", No, Words(&["--color", "never"])),
    row("", "--nocolor", No, Words(&["--color", "never"])),
    row("naabu", "-nc", No, Words(&["--color", "never"])),
    row("", "--colour", Next, Same("--color WHEN")),
    row("", "--no-progress", No, Words(&["--progress", "never"])),
    // Pace.
    row("nmap", "-T", Joined(is_timing), Made(timing, "--profile NAME, --timeout TIME, or -i FILE")),
    row("nmap", "--max-rate", Next, Same("--rate N")),
    row("nmap", "--min-rate", Next, Same("--rate N")),
    row("zmap", "-r", NextIf(is_number), Same("--rate N")),
    row("nmap", "-r", No, Words(&["--order", "given"])),
    row("nmap", "--max-retries", Next, Same("--retries N")),
    row("nmap", "--max-parallelism", Next, Same("--in-flight N")),
    row("nmap", "--min-parallelism", Next, Needless(PACE)),
    row("nmap", "--min-hostgroup", Next, Needless(PACE)),
    row("nmap", "--max-hostgroup", Next, Needless(PACE)),
    row("nmap", "--scan-delay", Next, Unsupported("to be gentle with each host, use --per-host and --rate")),
    row("nmap", "--max-scan-delay", Next, Needless(PACE)),
    row("nmap", "--max-rtt-timeout", Next, Made(seconds, "--timeout TIME")),
    row("nmap", "--initial-rtt-timeout", Next, Needless(PACE)),
    row("nmap", "--min-rtt-timeout", Next, Needless(PACE)),
    row("nmap", "--defeat-rst-ratelimit", No, Needless(PACE)),
    row("naabu", "-c", NextIf(is_number), Same("--in-flight N")),
    row("", "--retry", Next, Same("--retries N")),
    row("", "--concurrency", Next, Same("--in-flight N")),
    row("rustscan", "-b", NextIf(is_number), Same("--in-flight N")),
    row("rustscan", "--batch-size", Next, Same("--in-flight N")),
    row("rustscan", "--ulimit", Next, Needless("portmuster raises its limit of descriptors itself")),
    row("curl", "--connect-timeout", Next, Made(seconds, "--timeout TIME")),
    row("curl", "--max-time", Next, Made(seconds, "--timeout TIME")),
    row("curl", "-m", Next, Made(seconds, "--timeout TIME")),
    row("nc", "-w", Next, Made(seconds, "--timeout TIME")),
    row("ssh-audit", "-t", NextIf(is_number), Made(seconds, "--timeout TIME")),
    row("ssh-keyscan", "-t", Next, Unsupported("portmuster does not choose host keys by type")),
    row("masscan", "--wait", Next, Needless("each target has its own time limits")),
    row("masscan", "--shards", Next, Same("--shard M/N")),
    row("nmap", "--randomize-hosts", No, Needless(ALWAYS_RANDOM)),
    // The route.
    row("nmap", "-S", Joined(any), Same("--source ADDRESS")),
    row("masscan", "--source-ip", Next, Same("--source ADDRESS")),
    row("masscan", "--adapter-ip", Next, Same("--source ADDRESS")),
    row("nmap", "-e", Next, Unsupported(BY_SOURCE)),
    row("masscan", "--adapter", Next, Unsupported(BY_SOURCE)),
    row("", "--interface", Next, Unsupported(BY_SOURCE)),
    row("nmap", "-g", Next, Unsupported(DISGUISE)),
    row("nmap", "--source-port", Next, Unsupported(DISGUISE)),
    row("nmap", "-D", Next, Unsupported(DISGUISE)),
    row("nmap", "--mtu", Next, Unsupported(DISGUISE)),
    row("nmap", "--ttl", Next, Unsupported(DISGUISE)),
    row("nmap", "--data-length", Next, Unsupported(DISGUISE)),
    row("nmap", "--spoof-mac", Next, Unsupported(DISGUISE)),
    row("nmap", "--badsum", No, Unsupported(DISGUISE)),
    row("nmap", "--traceroute", No, Unsupported("portmuster traces no routes")),
    row("nmap", "-n", No, Needless(NAMES)),
    row("nmap", "-R", No, Unsupported(NAMES)),
    row("nmap", "--system-dns", No, Needless(RESOLVER)),
    row("nmap", "--dns-servers", Next, Unsupported(RESOLVER)),
    // Kinds of scans.
    row("nmap", "-s", Rest(is_scan_with_udp), Unsupported(ONLY_TCP)),
    row("nmap", "-sn", No, Unsupported(PING_SCAN)),
    row("nmap", "-sP", No, Unsupported(PING_SCAN)),
    row("nmap", "-s", Rest(is_version_scan), Needless(IDENTIFIES)),
    row("nmap", "-s", Rest(is_scan), Needless(CONNECTS)),
    row("nmap", "-A", No, Unsupported(EVERYTHING)),
    row("nmap", "-O", No, Unsupported(NO_SYSTEMS)),
    row("nmap", "--osscan-guess", No, Unsupported(NO_SYSTEMS)),
    row("nmap", "--script", Next, Unsupported(NO_SCRIPTS)),
    row("nmap", "--script-args", Next, Unsupported(NO_SCRIPTS)),
    row("nmap", "--version-intensity", Next, Needless(IDENTIFIES)),
    row("nmap", "--version-light", No, Needless(IDENTIFIES)),
    row("nmap", "--version-all", No, Needless(IDENTIFIES)),
    row("nmap", "-P", Rest(is_ping), Needless(NO_PING)),
    row("nmap", "--disable-arp-ping", No, Needless(NO_PING)),
    row("nmap", "--privileged", No, Needless("portmuster needs no privileges")),
    row("nmap", "--unprivileged", No, Needless("portmuster needs no privileges")),
    row("masscan", "--ping", No, Unsupported(PING_SCAN)),
    row("naabu", "-verify", No, Needless(CONNECTS)),
    row("naabu", "-passive", No, Unsupported("portmuster connects to targets, and asks no other service about them")),
    row("nc", "-z", No, Needless(CONNECTS)),
    row("nc", "-", Rest(is_netcat_scan), Words(&["--verbose"])),
    row("nc", "-u", No, Unsupported(ONLY_TCP)),
    row("curl", "-k", No, Needless("portmuster verifies no certificates")),
    row("", "--udp", No, Unsupported(ONLY_TCP)),
    row("", "--tcp", No, Needless(CONNECTS)),
    row("", "--ssh", No, Words(&["--show", "ssh"])),
    row("", "--telnet", No, Words(&["--show", "telnet"])),
];

const fn row(
    origin: &'static str,
    name: &'static str,
    value: Value,
    instead: Instead,
) -> ForeignOption {
    ForeignOption { origin, name, value, instead }
}

impl ForeignOption {
    /// Returns the program; empty: no particular one.
    pub(crate) fn origin(&self) -> &'static str {
        self.origin
    }

    /// Returns the value in the word of the option itself; `None`: there is none.
    pub(crate) fn value_in<'a>(&self, word: &'a str) -> Option<&'a str> {
        match self.value {
            Joined(_) | Rest(_) => {
                let rest = word.strip_prefix(self.name)?;
                Some(rest.strip_prefix('=').unwrap_or(rest)).filter(|rest| !rest.is_empty())
            }
            _ => word.split_once('=').filter(|_| is_long(word)).map(|(_, value)| value),
        }
    }

    /// Returns whether the next word is the value of the option that a word contains.
    pub(crate) fn takes(&self, word: &str, next: &str) -> bool {
        let is_option = next.len() > 1 && next.starts_with('-');
        match self.value {
            No | Rest(_) => false,
            Next | Joined(_) => self.value_in(word).is_none() && !is_option,
            NextIf(is_value) => self.value_in(word).is_none() && is_value(next),
        }
    }

    /// Returns what is wrong with the option that a word contains, for an error message.
    pub(crate) fn reason(&self, word: &str) -> String {
        let word = word.split_once('=').filter(|_| is_long(word)).map_or(word, |(name, _)| name);
        let (owner, usage) = match self.origin {
            "" => ("not an option of portmuster".to_owned(), self.usage()),
            origin => (format!("an option of {origin}"), self.usage()),
        };
        match self.instead {
            Needless(why) => format!("{word} is not needed: {why}"),
            Unsupported(why) => format!("{word} is not supported: {why}"),
            Target => format!("{word} is {owner}: targets need none"),
            _ => format!("{word} is {owner}: use {usage}"),
        }
    }

    fn usage(&self) -> String {
        match self.instead {
            Words(words) => words.join(" "),
            Output(format) => match self.value {
                NextIf(_) => format!("-o {format} or -o {format}=FILE"),
                _ => format!("-o {format}=FILE"),
            },
            Format => "-o FORMAT or -o FORMAT=FILE".to_owned(),
            Same(usage) | Made(_, usage) => usage.to_owned(),
            Needless(_) | Unsupported(_) | Target => String::new(),
        }
    }

    /// Returns what to type in the place of the option that a word contains.
    pub(crate) fn substitute(&self, word: &str, value: Option<&str>) -> Substitute {
        if value.is_none() && matches!(self.value, Next | Joined(_)) {
            return match self.instead {
                Needless(_) => Substitute::Words(Vec::new()),
                Unsupported(_) => Substitute::Lost,
                _ => Substitute::NoValue,
            };
        }
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Substitute::Words(match (self.instead, value) {
            (Needless(_), _) => Vec::new(),
            (Unsupported(_), _) => return Substitute::Lost,
            (Words(words), _) => owned(words),
            (Same(usage), value) => {
                let name = usage.split(' ').next().unwrap_or(usage);
                match value {
                    Some(value) if is_long(word) && word.contains('=') => {
                        vec![format!("{name}={value}")]
                    }
                    value => std::iter::once(name).chain(value).map(str::to_owned).collect(),
                }
            }
            (Target, value) => value.into_iter().map(str::to_owned).collect(),
            (Output(format), file) => output_words(format, file),
            (Format, name) => {
                std::iter::once("-o".to_owned()).chain(name.map(format_named)).collect()
            }
            (Made(make, _), value) => match value.and_then(make) {
                Some(words) => words,
                None => return Substitute::Lost,
            },
        })
    }

    /// Returns the format of an output without a file that the option in a word stands for; `None`: it
    /// stands for something else.
    pub(crate) fn bare_format(&self, word: &str, value: Option<&str>) -> Option<String> {
        match (self.instead, value.or_else(|| self.value_in(word))) {
            (Output(format), None) if matches!(self.value, NextIf(_)) => Some(format.to_owned()),
            (Format, Some(name)) if !name.contains('=') => Some(format_named(name)),
            _ => None,
        }
    }

    /// Returns whether the value of the option is the name of an output file without its format.
    pub(crate) fn names_output(&self) -> bool {
        matches!(self.instead, Made(_, "-o FORMAT=FILE"))
    }

    fn is_in(&self, word: &str) -> bool {
        let name = word.split_once('=').filter(|_| is_long(word)).map_or(word, |(name, _)| name);
        match self.value {
            Rest(is_rest) => word.strip_prefix(self.name).is_some_and(is_rest),
            Joined(is_rest) => {
                name == self.name
                    || name.strip_prefix('-') == Some(self.name)
                    || word
                        .strip_prefix(self.name)
                        .is_some_and(|rest| !rest.is_empty() && is_rest(rest))
            }
            _ => {
                // Programs in Go accept one dash before long options.
                let has_one_dash = word.len() > 3 && !word.starts_with("--");
                name == self.name || has_one_dash && self.name.strip_prefix('-') == Some(name)
            }
        }
    }
}

/// Finds the option that a word of the command line is. Several may have the same name; `next` is the
/// word after it.
pub(crate) fn find(word: &str, next: Option<&str>) -> Option<&'static ForeignOption> {
    let suits = |option: &&ForeignOption| match option.value {
        NextIf(is_value) => {
            let has_other = OPTIONS.iter().filter(|other| other.name == option.name).count() > 1;
            !has_other || next.is_some_and(is_value)
        }
        _ => true,
    };
    OPTIONS.iter().filter(|option| option.is_in(word)).find(suits)
}

fn is_long(word: &str) -> bool {
    word.starts_with("--") || word.len() > 3 && word.starts_with('-') && word.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats;

    #[test]
    fn replacements_name_formats_that_exist() {
        for option in OPTIONS {
            if let Output(format) = option.instead {
                assert!(formats::names().contains(&format), "{}", option.name);
            }
        }
    }

    #[test]
    fn options_are_found_by_name_and_by_what_follows() {
        let origin = |word, next| find(word, next).map(|option| option.origin);
        for option in OPTIONS {
            let word = match option.value {
                Rest(_) => continue,
                _ => option.name,
            };
            let found = find(word, Some("22")).or_else(|| find(word, Some("a.txt")));
            assert!(found.is_some(), "{word}");
        }
        for (word, next, expected) in [
            ("-T4", None, "nmap"),
            ("-sSV", None, "nmap"),
            ("-sU", None, "nmap"),
            ("-oXa.xml", None, "nmap"),
            ("-iLa.txt", None, "nmap"),
            ("-r", Some("1000"), "zmap"),
            ("-r", Some("10.0.0.1"), "nmap"),
            ("-f", Some("a.txt"), "ssh-keyscan"),
            ("-f", Some("10.0.0.1"), "nmap"),
            ("-PS22", None, "nmap"),
            ("-zv", None, "nc"),
            ("-host", Some("a"), ""),
            ("-host=a", None, ""),
            ("--format=csv", None, ""),
        ] {
            assert_eq!(origin(word, next), Some(expected), "{word} {next:?}");
        }
        for word in ["-T9x", "-To", "-i", "-o", "-oxml", "--rate", "-p-", "-4", "-46", "-qv", "-h"]
        {
            assert!(find(word, None).is_none(), "{word}");
        }
    }
}
