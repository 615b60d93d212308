//! The command line.

use std::{
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use anstream::ColorChoice;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use portmuster::{
    Addresses, Config, Method, defaults,
    targets::{Order, Ports, Shard},
};

mod conversation;
mod diff;
mod explain;
mod gates;
mod journaling;
mod output;
mod pages;
mod reading;

pub(crate) use conversation::{Asking, Speaking, Times};
pub(crate) use diff::{ChangeFormat, Diff};
pub(crate) use explain::Explain;
pub(crate) use gates::Gates;
pub(crate) use journaling::Journaling;
pub(crate) use output::{Format, OutputSpec};
pub(crate) use pages::{Completions, Man, Shell};
pub(crate) use reading::Reading;

use crate::compare::Compare;

/// Which of these addresses support ssh or telnet?
///
/// Checks host:port pairs by the million, side by side, in bounded memory, and hands over each
/// result the moment it is known.
#[derive(Debug, Parser)]
#[command(name = "portmuster", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Program {
    /// Whether to colour what is shown
    #[arg(long, global = true, value_name = "WHEN", default_value_t = Color::Auto, value_enum, display_order = 1000)]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a list of targets
    Check(Box<Check>),
    /// Check one target, and tell step by step how the verdict came about
    ///
    /// The check is the one that `portmuster check` makes; of a name each address is checked. What
    /// a server says is shown as it came, with everything escaped that is not text.
    Explain(Explain),
    /// Check the same targets by each method, side by side
    Compare(Box<Compare>),
    /// Say what changed between two runs
    Diff(Diff),
    /// Check a lab of honest, odd and hostile servers on loopback, before your eyes
    Demo(Demo),
    /// Print what makes a shell complete the command line
    Completions(Completions),
    /// Print the manual page of the program or of a command, or write them all
    Man(Man),
    /// The inside of a worker process; portmuster starts these by itself
    #[command(hide = true)]
    Worker,
}

/// When something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}

impl Color {
    /// Makes it the choice for all that is written.
    pub(crate) fn write_global(self) {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// When progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowProgress {
    /// On a terminal; elsewhere a line a minute
    Auto,
    /// Always; where stderr is no terminal, a line a second
    Always,
    Never,
}

/// The rows that an output gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    /// Open ports
    Open,
    /// Every target
    All,
}

const TARGETS: &str = "\
A target is an address (10.0.0.5, 2001:db8::1), a network (10.0.0.0/24, 2001:db8::/120), a range \
(10.0.0-3.1-254, 10.0.0.1-10.0.3.9), a list of numbers as nmap has them (10.0.0.1,3,5, 10.0.0.*) or \
a name (db.example), with ports of its own if need be: 10.0.0.5:22,2222-2230, [2001:db8::1]:ssh. \
ssh://db.example:2222 and telnet://10.0.0.5 are targets as well. Each is checked once, however often it is named. \
Networks that no host can have are left out of wider ones: 0.0.0.0/8, loopback, multicast, \
240.0.0.0/4.";

const CHECK_MORE: &str = "\
Examples:
  portmuster check 10.0.0.0/24
  portmuster check -i inventory.txt -o table -o jsonl=result.jsonl -o sqlite=audit.db
  portmuster check -i inventory.txt --forbid telnet,telnet-likely,ssh-1 --require-verdict
  portmuster check 10.0.0.0/8 --exclude-file fragile.txt --shard 1/4 --rate 2000
  portmuster check 10.0.0.0/8 -o jsonl=ten.jsonl --journal ten.journal --resume
  portmuster check -i hosts.csv --column address,port,name -o jsonl | jq -r .service
  portmuster check -i scan.xml -i ~/.ssh/known_hosts -i inventory.ini

Exit status:
  0    every target was checked
  1    something was found that --forbid or --require-verdict forbids
  2    the arguments or the input can't be read, or an output can't be opened
  3    some targets could not be checked from here (a broadcast address never can), an output
       failed, or the run could not start
  130  interrupted: what was in flight got a second, the rest is left
Where several hold: 2, 130, 1, 3, 0. When stdout is closed early the other outputs are still
written, and gates have their answer; without others the run ends quietly with 0.";

/// Check a list of targets
#[derive(Debug, Args)]
#[command(after_help = CHECK_MORE)]
pub(crate) struct Check {
    /// What to check, beside the inputs
    #[arg(value_name = "TARGET", long_help = TARGETS)]
    pub(crate) targets: Vec<String>,

    /// Read targets from a file, one a line, with # for comments; `-` is stdin; repeatable
    #[arg(
        short,
        long = "input",
        value_name = "FILE",
        long_help = "\
Read targets from a file, one a line, with # for comments; repeatable. What follows a target behind \
white space is its label and goes into its row; what reads as another target, a port, a range or an \
option is an error. CSV, scans, known_hosts and inventories are read as well: see --input-format. A \
file is read whole before anything is sent. `-` is \
stdin, which is read as a stream: as the run goes on, in the order given, without end if it likes, \
and what it names twice is checked twice."
    )]
    pub(crate) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) reading: Reading,

    /// Ports of targets that name none: numbers, ranges, services
    #[arg(short, long, value_name = "LIST", default_value = "ssh,telnet", value_parser = ports)]
    pub(crate) ports: Ports,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// How checks run side by side
    #[arg(long, value_name = "METHOD", default_value = "event-loop", value_parser = method())]
    pub(crate) method: Method,

    /// Threads (256), processes (32, or one per core with more inside) or event loops (one per
    /// core), as the method has it
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) workers: Option<NonZeroUsize>,

    /// Threads in each process of process-threads [default: 250]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Connections open at the same time; fewer where descriptors or memory are, which is said
    #[arg(long, value_name = "N", default_value_t = in_flight(), value_parser = count)]
    pub(crate) in_flight: NonZeroUsize,

    /// New connections a second, or max [default: 10000]
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<Ceiling>,

    /// Connections open towards one address, or max
    #[arg(long, value_name = "N", default_value_t = Ceiling(NonZeroU32::new(defaults::PER_HOST)))]
    pub(crate) per_host: Ceiling,

    /// Give up on an address that keeps the run this long without a break
    #[arg(
        long,
        value_name = "TIME",
        value_parser = duration,
        long_help = "\
Give up on an address that keeps the run this long without a break: attempts are open to it, or
targets wait for it. What has not been tried by then is unchecked (host-timeout), which fails
--require-verdict; what waits for another attempt keeps the verdict that it has."
    )]
    pub(crate) host_timeout: Option<Duration>,

    /// More attempts for a target that does not answer
    #[arg(long, value_name = "N", default_value_t = defaults::RETRIES)]
    pub(crate) retries: u32,

    #[command(flatten)]
    pub(crate) times: Times,

    #[command(flatten)]
    pub(crate) asking: Asking,

    /// Write rows as table, jsonl, csv, xml or sqlite, to stdout or a file; repeatable
    #[arg(
        short,
        long = "output",
        value_name = "FORMAT[=FILE]",
        default_value = "table",
        long_help = "\
Write rows to stdout or a file; repeatable, one of them on stdout.
  table   for people
  jsonl   JSON lines: an object a line
  csv     the fields of jsonl as columns, and no formula in them
  xml     as nmap writes it, for programs that read that
  sqlite  a database, which has to be a file; each run is added to those in it"
    )]
    pub(crate) outputs: Vec<OutputSpec>,

    #[command(flatten)]
    pub(crate) existing: Existing,

    #[command(flatten)]
    pub(crate) journaling: Journaling,

    /// Rows to write [default: open for table, all for the rest]
    #[arg(long, value_name = "WHICH", value_enum)]
    pub(crate) show: Option<Show>,

    #[command(flatten)]
    pub(crate) gates: Gates,

    /// Show how far the run is
    #[arg(long, value_name = "WHEN", default_value_t = ShowProgress::Auto, value_enum)]
    pub(crate) progress: ShowProgress,

    /// Say nothing but errors on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Say what holds the run back, and what each worker did
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    /// Write what the run cost to this file; `compare` reads it
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) measure: Option<PathBuf>,
}

/// Which of the targets are checked, in which order, and by which way.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Never connect to these, also not by name; all their ports, unless some are named; repeatable
    #[arg(
        long,
        value_name = "TARGET",
        long_help = "\
Never connect to these, also not by name; all their ports, unless some are named; repeatable. Names \
are looked up before anything is sent, also for --list and --count, and all their addresses are \
excluded; one that can't be looked up is an error."
    )]
    pub(crate) exclude: Vec<String>,

    /// Read what to exclude from a file, one a line; names are looked up; repeatable
    #[arg(
        long,
        value_name = "FILE",
        long_help = "\
Read what to exclude from a file, one a line; names are looked up; repeatable. A line that can't be \
read is an error, also with --skip-bad-lines, and so is a file without an entry: /dev/null says that \
nothing is to be excluded."
    )]
    pub(crate) exclude_file: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) lines: LineRules,

    /// Check each address of a name as a target of its own
    #[arg(
        long,
        long_help = "\
Check each address of a name as a target of its own, up to 8,192; without this its addresses are tried \
until one accepts, up to 256."
    )]
    pub(crate) all_addresses: bool,

    #[command(flatten)]
    pub(crate) family: Family,

    /// Connect from this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) source: Option<IpAddr>,

    /// The order of targets: shuffled, so that no host or network is hammered, or as they are given
    #[arg(long, value_name = "ORDER", default_value_t = OrderName::Shuffled, value_enum)]
    pub(crate) order: OrderName,

    /// The seed of the shuffled order [default: a hash of the targets]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Check only part M of N; the parts are disjoint and cover all, also on different machines
    #[arg(long, value_name = "M/N", default_value = "1/1", value_parser = shard)]
    pub(crate) shard: Shard,

    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

/// What becomes of lines that can't be read.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LineRules {
    /// Report and count input lines that can't be read, and go on; not those of --exclude-file
    #[arg(long)]
    pub(crate) skip_bad_lines: bool,
}

/// Only one address family.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct Family {
    /// Only IPv4
    #[arg(short = '4', long = "ipv4")]
    only_v4: bool,

    /// Only IPv6
    #[arg(short = '6', long = "ipv6")]
    only_v6: bool,
}

impl Family {
    /// As journals call it.
    pub(crate) fn name(self) -> &'static str {
        match (self.only_v4, self.only_v6) {
            (true, _) => "ipv4",
            (_, true) => "ipv6",
            (false, false) => "any",
        }
    }

    /// All addresses of the family that is not asked for.
    pub(crate) fn other(self) -> Option<&'static str> {
        match (self.only_v4, self.only_v6) {
            (true, _) => Some("::/0"),
            (_, true) => Some("0.0.0.0/0"),
            (false, false) => None,
        }
    }
}

/// What is done instead of checking; nothing is sent.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct DryRun {
    /// Print what would be checked, in the order it would be; send nothing, but look up names that
    /// are excluded
    #[arg(long)]
    pub(crate) list: bool,

    /// Print how many targets would be checked; send nothing, but look up names that are excluded
    #[arg(long)]
    pub(crate) count: bool,
}

/// The order of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderName {
    Shuffled,
    Given,
}

impl Selection {
    /// The order of the targets that can be indexed.
    pub(crate) fn order(&self) -> Order {
        match self.order {
            OrderName::Shuffled => Order::Shuffled { seed: self.seed },
            OrderName::Given => Order::Given,
        }
    }
}

/// What becomes of output files that exist; unasked they are left alone.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct Existing {
    /// Add to output files that exist (not to xml)
    #[arg(long)]
    pub(crate) append: bool,

    /// Replace output files that exist (never a database, whose runs stay)
    #[arg(long)]
    pub(crate) force: bool,
}

/// Check a lab of honest, odd and hostile servers on loopback, before your eyes
///
/// The limits in time are short, so that it takes seconds: `--first-byte 6s --deadline 7s`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How checks run side by side
    #[arg(long, value_name = "METHOD", default_value = "event-loop", value_parser = method())]
    pub(crate) method: Method,
}

impl Check {
    /// The settings of the run.
    pub(crate) fn config(&self) -> Config {
        Config {
            method: self.method,
            workers: self.workers.map(NonZeroUsize::get),
            threads: self.threads.map(NonZeroUsize::get),
            in_flight: self.in_flight.get(),
            rate: self.rate.map_or(NonZeroU32::new(defaults::RATE), |rate| rate.0),
            per_host: self.per_host.0,
            host_timeout: self.host_timeout,
            retries: self.retries,
            limits: self.times.limits(),
            addresses: if self.selection.all_addresses {
                Addresses::Each
            } else {
                Addresses::UntilOneAccepts
            },
            source: self.selection.source,
            probing: self.asking.probing(),
            speak_first: self.asking.speaking.speak_first(),
            evidence: self.asking.evidence,
        }
    }
}

pub(crate) fn in_flight() -> NonZeroUsize {
    NonZeroUsize::new(defaults::IN_FLIGHT).unwrap_or(NonZeroUsize::MIN)
}

pub(crate) fn method() -> impl clap::builder::TypedValueParser<Value = Method> {
    use clap::builder::TypedValueParser;

    let names = Method::ALL.map(Method::name);
    clap::builder::PossibleValuesParser::new(names).try_map(|name| name.parse::<Method>())
}

pub(crate) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "it is not a whole number from 1 up".to_owned())
}

fn shard(text: &str) -> Result<Shard, String> {
    text.split_once('/')
        .and_then(|(part, of)| Shard::new(part.parse().ok()?, of.parse().ok()?))
        .ok_or_else(|| "it is not M/N with M from 1 to N, such as 2/3".to_owned())
}

fn ports(list: &str) -> Result<Ports, String> {
    Ports::parse(list).map_err(|(at, error)| format!("column {}: {error}", at + 1))
}

/// Reads a time with its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(format!("the unit is missing: {text}s, {text}ms, {text}m"));
    }
    let time: SignedDuration =
        text.parse().map_err(|_| "it is not a time such as 10s, 500ms or 1m30s".to_owned())?;
    match Duration::try_from(time) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("it must be longer than 0s".to_owned()),
    }
}

/// A number, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ceiling(pub(crate) Option<NonZeroU32>);

impl FromStr for Ceiling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "max" => Ok(Self(None)),
            _ => text.parse().map(|number| Self(Some(number))).map_err(|_| {
                format!("it is neither max nor a whole number from 1 to {}", u32::MAX)
            }),
        }
    }
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
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
    }

    #[test]
    fn defaults_in_words_are_the_librarys() {
        let program = Program::parse_from(["portmuster", "check", "10.0.0.5"]);
        let Command::Check(check) = program.command else { panic!("it is a check") };
        assert_eq!(check.config(), Config::default());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("10").is_err_and(|error| error.contains("10s")));
        for text in ["0s", "-1s", "", "s", "tens"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
