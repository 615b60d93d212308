//! Arguments about the format of input files.

use clap::{
    ArgMatches, Args, Command, Error, FromArgMatches,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
    parser::ValueSource,
};
use portmuster::targets::{Columns, InputFormat, InputOptions};

use super::headings;

/// The value that selects the format by the first line of an input.
const AUTO: &str = "auto";

/// The format of input files.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = headings::TARGETS)]
pub(crate) struct InputFormatArgs {
    /// Format of the inputs; auto detects it from the first line
    #[arg(
        hide_short_help = true,
        long,
        value_name = "FORMAT",
        default_value = AUTO,
        value_parser = formats(),
        hide_possible_values = true,
        long_help = "\
Format of the inputs:
  auto         as the first line shows; printed unless it is a list
  list         several targets per line, separated by white space
  csv          a table separated by commas, semicolons or tabs
  nmap-xml     XML of nmap (-oX), masscan or portmuster
  nmap-grep    grepable output of nmap (-oG) or masscan
  masscan      output of masscan -oL, -oJ or -oD
  known-hosts  ssh known_hosts; hashed names are only counted
  ansible      INI, or the output of ansible-inventory --list
The open ports of a scan are checked; with -p, the given ports of all its hosts that are up."
    )]
    input_format: NamedFormat,

    /// CSV columns of host, port and label, by title or number, such as ip,port,name or 1,,4
    /// [default: from the header row, or 1,2,3]
    #[arg(hide_short_help = true, long, value_name = "COLUMNS", value_parser = columns, requires = "inputs")]
    column: Option<Columns>,

    /// Use any text after a target as its label, even if it looks like a target or port
    #[arg(hide_short_help = true, long)]
    labels: bool,

    #[command(flatten)]
    ports: PortsGiven,
}

/// A format; `None` means that it is detected.
#[derive(Debug, Clone, Copy)]
struct NamedFormat(Option<InputFormat>);

impl InputFormatArgs {
    /// Returns the options of the library's reader.
    ///
    /// # Errors
    /// `--column` is given with a format other than CSV.
    pub(crate) fn options(&self) -> Result<InputOptions, String> {
        let format = self.input_format.0;
        if let Some(format) = format.filter(|format| *format != InputFormat::Csv)
            && self.column.is_some()
        {
            return Err(format!(
                "--column applies to csv, not to {format}: remove --column or the format"
            ));
        }
        let mut options = InputOptions::default();
        options.format = format;
        options.columns.clone_from(&self.column);
        options.labels = self.labels;
        options.hosts_up = self.ports.0;
        Ok(options)
    }

    /// Returns whether `--ports` is on the command line.
    pub(crate) fn has_ports(&self) -> bool {
        self.ports.0
    }

    /// Returns the arguments that another process of this program needs for the same format.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if let Some(format) = self.input_format.0 {
            arguments.push(format!("--input-format={format}"));
        }
        if let Some(columns) = &self.column {
            arguments.push(format!("--column={columns}"));
        }
        if self.labels {
            arguments.push("--labels".to_owned());
        }
        arguments
    }
}

/// Whether `--ports` is on the command line, as opposed to its default.
///
/// Invariant: the field of this type precedes the one of `--ports` in its command, because reading
/// an argument removes it from the matches.
#[derive(Debug, Clone, Copy)]
struct PortsGiven(bool);

impl FromArgMatches for PortsGiven {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(matches.value_source("ports") == Some(ValueSource::CommandLine)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for PortsGiven {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

fn formats() -> impl TypedValueParser<Value = NamedFormat> {
    let names = InputFormat::ALL.map(InputFormat::name);
    let values: Vec<_> = std::iter::once(AUTO).chain(names).map(PossibleValue::new).collect();
    // The parser rejects any other value, so only `auto` fails to parse as a format.
    PossibleValuesParser::new(values).map(|name| NamedFormat(name.parse().ok()))
}

fn columns(text: &str) -> Result<Columns, String> {
    text.parse::<Columns>().map_err(|error| error.to_string())
}
