//! The arguments of `portmuster check`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use portmuster::{
    Config,
    config::{Addresses, MaxMissed},
    targets::Ports,
};

use super::{
    certainty::CertaintyArgs,
    conversation::{ProbeArgs, TimeLimits},
    display::ShowProgress,
    gates::GateArgs,
    headings,
    host_keys::CheckHostKeyArgs,
    input_format::InputFormatArgs,
    journal::JournalArgs,
    output::{ExistingFiles, OutputSpec, SummarySpec},
    profile::ProfileArgs,
    proxy::ProxyArgs,
    recog::RecogArgs,
    reports::ReportArgs,
    selection::Selection,
    settings::build,
    show::{self, ShowItem},
    speed::SpeedArgs,
    table::TableArgs,
    values,
};
use crate::formats;

const TARGETS: &str = "\
Targets to check, in addition to those of --input. A target is an address (10.0.0.5, 2001:db8::1), a \
network (10.0.0.0/24, 2001:db8::/120), a range (10.0.0-3.1-254, 10.0.0.1-10.0.3.9), an nmap-style \
octet list (10.0.0.1,3,5, 10.0.0.*) or a host name (db.example). Ports may follow: \
10.0.0.5:22,2222-2230, [2001:db8::1]:ssh. URLs such as ssh://db.example:2222 and telnet://10.0.0.5 \
are accepted too. Each target is checked once, even if it is given several times. Within wider \
networks, addresses that no host can have are skipped: 0.0.0.0/8, loopback, multicast and 240.0.0.0/4.";

const EXAMPLES: &str = "\
Examples:
  portmuster check 10.0.0.0/24
  portmuster check -i hosts.txt -o table -o jsonl=result.jsonl
  portmuster check -i hosts.txt --forbid telnet --require-verdict";

const EXAMPLES_AND_STATUS: &str = "\
Examples:
  portmuster check 10.0.0.0/24
  portmuster check -i inventory.txt -o table -o jsonl=result.jsonl
  portmuster check -i inventory.txt -o sqlite=audit.db --forbid telnet,ssh-1
  portmuster check -i inventory.txt --forbid telnet-likely --require-verdict
  portmuster check 10.0.0.0/8 --exclude-file fragile.txt --shard 1/4
  portmuster check 10.0.0.0/8 -o jsonl=ten.jsonl --journal ten.journal --resume
  portmuster check -i hosts.csv --column address,port,name -o jsonl | jq .host
  portmuster check -i scan.xml -i ~/.ssh/known_hosts -i inventory.ini

Exit status:
  0    every target was checked
  1    --forbid or --require-verdict found a violation
  2    the arguments or the input are invalid, or an output can't be opened
  3    some targets could not be checked from this machine (such as a broadcast
       address), an output failed, or the run could not start
  130  interrupted: open connections got one more second, the remaining targets
       were not checked
If several apply, the first of 2, 130, 1, 3, 0 is returned. If stdout is
closed early, the run continues as long as it has other outputs or gates;
otherwise it ends with status 0.";

/// Check a list of targets
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_STATUS)]
pub(crate) struct Check {
    /// Targets to check
    #[arg(value_name = "TARGET", help_heading = headings::TARGETS, long_help = TARGETS)]
    pub(crate) targets: Vec<String>,

    /// Read targets from a file; `-` is stdin
    #[arg(
        short,
        long = "input",
        value_name = "FILE",
        help_heading = headings::TARGETS,
        long_help = "\
Read targets from a file, one per line; # starts a comment; repeatable. Text after a target and white \
space is the label of the target, which its row contains; a label that looks like another target, a \
port, a range or an option is an error. CSV files, scan results, known_hosts files and inventories \
are accepted too: see --input-format. Files are read completely before the run starts. `-` is stdin, \
which is read as a stream during the run: in the given order, of any length, and a target that \
occurs twice is checked twice."
    )]
    pub(crate) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) input_format: InputFormatArgs,

    /// Ports if a target has none
    #[arg(
        short,
        long,
        value_name = "LIST",
        default_value = "ssh,telnet",
        value_parser = values::ports,
        help_heading = headings::TARGETS,
        long_help = "Ports of targets that list none: numbers, ranges or service names"
    )]
    pub(crate) ports: Ports,

    #[command(flatten)]
    pub(crate) selection: Selection,

    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,

    #[command(flatten)]
    pub(crate) probe: ProbeArgs,

    #[command(flatten)]
    pub(crate) host_keys: CheckHostKeyArgs,

    #[command(flatten)]
    pub(crate) recog: RecogArgs,

    #[command(flatten)]
    pub(crate) limits: TimeLimits,

    #[command(flatten)]
    profile: ProfileArgs,

    #[command(flatten)]
    pub(crate) speed: SpeedArgs,

    #[command(flatten)]
    pub(crate) certainty: CertaintyArgs,

    #[arg(
        short,
        long = "output",
        value_name = "FORMAT[=FILE]",
        default_value = "table",
        help_heading = headings::OUTPUTS,
        help = formats::help(),
        long_help = formats::long_help()
    )]
    pub(crate) outputs: Vec<OutputSpec>,

    /// Rows to write: open, all, ssh, telnet, weak, filtered …
    #[arg(
        long,
        value_name = "WHICH",
        value_delimiter = ',',
        value_parser = show::items(),
        hide_possible_values = true,
        help_heading = headings::OUTPUTS,
        long_help = "\
Rows to write, separated by commas: all, a state (open, closed, filtered, unresolved, unchecked), a \
service (ssh includes ssh-throttled), a finding, or a group of findings (weak, weak-kex, weak-host-key, \
weak-cipher, weak-mac). A row is written if at least one of them applies. `portmuster list states`, \
services and findings print the names [default: open for table and list, all for the other formats]"
    )]
    pub(crate) show: Vec<ShowItem>,

    #[command(flatten)]
    pub(crate) table: TableArgs,

    /// Write what the run has found in all to a file, in JSON
    #[arg(
        long,
        value_name = "json=FILE",
        conflicts_with_all = ["list", "count"],
        help_heading = headings::OUTPUTS,
        hide_short_help = true,
        long_help = "\
Write what the run has found in all to a file, in JSON: the number of targets in each state, losses, \
services, gates, and how many silent targets may have been missed. It is written when the run ends, \
also if it was interrupted or failed. `json=-` writes it to stdout, if no output goes there. --append \
adds a line to an existing file, --force overwrites it, and --resume replaces one earlier summary."
    )]
    pub(crate) summary: Option<SummarySpec>,

    #[command(flatten)]
    pub(crate) reports: ReportArgs,

    #[command(flatten)]
    pub(crate) existing: ExistingFiles,

    #[command(flatten)]
    pub(crate) gates: GateArgs,

    #[command(flatten)]
    pub(crate) journal: JournalArgs,

    /// Read options from a file, one argument a line
    #[arg(
        long = "config",
        value_name = "FILE",
        help_heading = headings::GENERAL,
        hide_short_help = true,
        long_help = "\
Read options from a file. Each line is one argument, such as --rate=2000; lines that start with # are \
comments. The command line replaces options of the file, except that --exclude, --exclude-file, --forbid \
and --allow add up. Without this option, the file that the environment variable PORTMUSTER_CONFIG names \
is read, if it is set; /dev/null is a file without options."
    )]
    pub(crate) config_file: Option<PathBuf>,

    /// When to show progress
    #[arg(
        long,
        value_name = "WHEN",
        default_value_t = ShowProgress::Auto,
        value_enum,
        help_heading = headings::GENERAL,
        hide_short_help = true
    )]
    pub(crate) progress: ShowProgress,

    /// Print only errors on stderr
    #[arg(short, long, help_heading = headings::GENERAL)]
    pub(crate) quiet: bool,

    /// Report what limits the speed
    #[arg(
        short,
        long,
        conflicts_with = "quiet",
        help_heading = headings::GENERAL,
        long_help = "Report what limits the speed of the run, and the share of each worker"
    )]
    pub(crate) verbose: bool,

    /// Write the cost of the run to this file, for `compare`
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) measure: Option<PathBuf>,

    /// The command line for the record of the run, with the options of the profile and of the file.
    #[arg(skip)]
    pub(crate) recorded: String,
}

impl Check {
    /// Returns the configuration of the run.
    ///
    /// # Errors
    /// A setting is invalid.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let addresses =
            if self.selection.all_addresses { Addresses::Each } else { Addresses::UntilOneAccepts };
        if self.speed.retries == 0
            && let Some(max_missed) = self.certainty.max_missed
        {
            bail!(
                "--max-missed {max_missed} asks silent targets again, and --retries 0 asks each only once: \
                 remove one of them"
            );
        }
        self.host_keys.require_for(&self.outputs, self.reports.hash_hosts)?;
        let settings = Config::builder()
            .patience(self.certainty.patience)
            .max_missed(self.max_missed())
            .seed(self.selection.seed)
            .addresses(addresses)
            .source(self.selection.source)
            .probing(self.probe.probing())
            .speak_first(self.probe.active.speak_first())
            .evidence(self.probe.evidence)
            .host_keys(self.host_keys.probing.with_probing(self.probe.probing())?);
        build(self.proxy.apply(self.limits.apply(self.speed.apply(settings)))?)
    }

    /// Returns the largest share of silent targets that may be missed; `None`: it is not estimated.
    pub(crate) fn max_missed(&self) -> Option<MaxMissed> {
        let CertaintyArgs { max_missed, no_canaries, .. } = self.certainty;
        (self.speed.retries > 0 && !no_canaries).then(|| max_missed.unwrap_or_default())
    }

    /// Returns the outputs that are databases.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &Path> {
        self.outputs.iter().filter(|output| output.is_database()).filter_map(OutputSpec::file)
    }
}
