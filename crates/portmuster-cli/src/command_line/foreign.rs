//! Options of nmap and masscan, and what portmuster has in their place.

/// An option of nmap or masscan that portmuster does not have.
pub(crate) struct ForeignOption {
    /// The option as typed. A name that ends with `*` is followed by more in the same word.
    pub(crate) name: &'static str,
    /// Whether a value follows.
    takes_value: bool,
    instead: Instead,
}

/// What to type in the place of an option.
enum Instead {
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// This option with the same value.
    Option(&'static str),
    /// These words.
    Words(&'static [&'static str]),
    /// An output in this format to the same file.
    Output(&'static str),
}

const CONNECTS: &str = "portmuster always makes complete TCP connections";
const IDENTIFIES: &str = "portmuster always identifies ssh and telnet, and their versions";
const NO_PING: &str = "portmuster always connects, without a ping before it";
const ONLY_TCP: &str = "portmuster checks TCP only";
const ALWAYS_RANDOM: &str = "the order is random by default";
const PACE: &str = "portmuster sets its pace by --rate and --in-flight";

#[rustfmt::skip]
const OPTIONS: [ForeignOption; 41] = [
    row("-iL", true, Instead::Option("-i")),
    row("--includefile", true, Instead::Option("-i")),
    row("--excludefile", true, Instead::Option("--exclude-file")),
    row("-oN", true, Instead::Output("table")),
    row("-oX", true, Instead::Output("xml")),
    row("-oG", true, Instead::Output("csv")),
    row("-oL", true, Instead::Output("csv")),
    row("-oJ", true, Instead::Output("jsonl")),
    row("-oD", true, Instead::Output("jsonl")),
    row("-oA", true, Instead::Output("xml")),
    row("--max-rate", true, Instead::Option("--rate")),
    row("--min-rate", true, Instead::Option("--rate")),
    row("--max-retries", true, Instead::Option("--retries")),
    row("--max-parallelism", true, Instead::Option("--in-flight")),
    row("--source-ip", true, Instead::Option("--source")),
    row("--adapter-ip", true, Instead::Option("--source")),
    row("-S", true, Instead::Option("--source")),
    row("--shards", true, Instead::Option("--shard")),
    row("--open", false, Instead::Words(&["--show", "open"])),
    row("--append-output", false, Instead::Words(&["--append"])),
    row("-r", false, Instead::Words(&["--order", "given"])),
    row("-sL", false, Instead::Words(&["--list"])),
    row("-sS", false, Instead::Nothing(CONNECTS)),
    row("-sT", false, Instead::Nothing(CONNECTS)),
    row("-sV", false, Instead::Nothing(IDENTIFIES)),
    row("-sC", false, Instead::Nothing(IDENTIFIES)),
    row("-A", false, Instead::Nothing(IDENTIFIES)),
    row("--banners", false, Instead::Nothing(IDENTIFIES)),
    row("-Pn", false, Instead::Nothing(NO_PING)),
    row("-P0", false, Instead::Nothing(NO_PING)),
    row("--disable-arp-ping", false, Instead::Nothing(NO_PING)),
    row("-sn", false, Instead::Nothing(NO_PING)),
    row("-sU", false, Instead::Nothing(ONLY_TCP)),
    row("-O", false, Instead::Nothing("portmuster does not identify operating systems")),
    row("-n", false, Instead::Nothing("portmuster never looks up the names of addresses")),
    row("-R", false, Instead::Nothing("portmuster never looks up the names of addresses")),
    row("-F", false, Instead::Nothing("portmuster checks the ports of ssh and telnet unless -p lists others")),
    row("--top-ports", true, Instead::Nothing("portmuster checks the ports of ssh and telnet unless -p lists others")),
    row("--randomize-hosts", false, Instead::Nothing(ALWAYS_RANDOM)),
    row("--reason", false, Instead::Nothing("rows always contain the reason")),
    row("-T*", false, Instead::Nothing(PACE)),
];

const fn row(name: &'static str, takes_value: bool, instead: Instead) -> ForeignOption {
    ForeignOption { name, takes_value, instead }
}

impl ForeignOption {
    /// Returns whether the value is the next word.
    pub(crate) fn takes_next(&self, word: &str) -> bool {
        self.takes_value && word == self.name
    }

    /// Returns the words to type in its place.
    ///
    /// # Errors
    /// It is not needed, for the reason that is returned.
    pub(crate) fn instead(
        &self,
        value: Option<&str>,
        has_equals: bool,
    ) -> Result<Vec<String>, &'static str> {
        let value = value.map(str::to_owned);
        match self.instead {
            Instead::Nothing(reason) => Err(reason),
            Instead::Words(words) => Ok(words.iter().map(|word| (*word).to_owned()).collect()),
            Instead::Option(name) => Ok(match value {
                Some(value) if has_equals => vec![format!("{name}={value}")],
                value => std::iter::once(name.to_owned()).chain(value).collect(),
            }),
            Instead::Output(format) => {
                let value = value.map_or(format.to_owned(), |file| format!("{format}={file}"));
                Ok(vec!["-o".to_owned(), value])
            }
        }
    }
}

/// Finds the option that a word of the command line is.
pub(crate) fn find(word: &str) -> Option<&'static ForeignOption> {
    let name = match word.split_once('=') {
        Some((name, _)) if word.starts_with("--") => name,
        _ => word,
    };
    // `-T4` has its value in the same word, `-T 4` does not.
    let is_name = |option: &&ForeignOption| match option.name.strip_suffix('*') {
        Some(start) => name.strip_prefix(start).is_some_and(is_value_of_timing),
        None => option.name == name,
    };
    OPTIONS.iter().find(is_name)
}

fn is_value_of_timing(value: &str) -> bool {
    value.len() == 1 && value.bytes().all(|byte| (b'0'..=b'5').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats;

    #[test]
    fn replacements_name_formats_that_exist() {
        for option in &OPTIONS {
            if let Instead::Output(format) = option.instead {
                assert!(formats::names().contains(&format), "{}", option.name);
            }
        }
    }

    #[test]
    fn each_option_is_found_by_its_own_name() {
        for option in &OPTIONS {
            let word = option.name.replace('*', "4");
            assert!(find(&word).is_some_and(|found| found.name == option.name), "{word}");
        }
        for word in ["-T", "-T9", "-To", "-i", "-o", "-oxml", "--rate", "-p-", "-4"] {
            assert!(find(word).is_none(), "{word}");
        }
    }
}
