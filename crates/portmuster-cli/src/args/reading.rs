//! How lists of targets are read.

use clap::{
    ArgMatches, Args, Command, Error, FromArgMatches,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
    parser::ValueSource,
};
use portmuster::targets::{Columns, InputFormat, InputOptions};

/// The format that is looked for.
const AUTO: &str = "auto";

/// How lists of targets are read.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reading {
    /// The format of inputs; auto tells it by the first line, and names it
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = AUTO,
        value_parser = formats(),
        hide_possible_values = true,
        long_help = "\
The format of inputs:
  auto         the one that the first line shows; it is named on stderr, unless it is a plain
               list: a target a line, with its label
  list         several targets on a line, with white space between them
  csv          a table; its separator is a comma, a semicolon or a tab
  nmap-xml     what nmap -oX writes, or masscan, or this program
  nmap-grep    what nmap -oG writes, or masscan
  masscan      what masscan -oL, -oJ or -oD writes
  known-hosts  the known_hosts of ssh; hashed names can't be read, and are counted
  ansible      an inventory in INI, or what ansible-inventory --list writes
Of a scan the open ports are checked; with -p these ports of all hosts that are up."
    )]
    input_format: Format,

    /// The columns of CSV for host, port and label, by title or number, such as ip,port,name or
    /// 1,,4 [default: by the header row, or 1,2,3]
    #[arg(long, value_name = "COLUMNS", value_parser = columns)]
    column: Option<Columns>,

    /// Take whatever follows a target on its line as its label, even if it reads as a target or port
    #[arg(long)]
    labels: bool,

    #[command(flatten)]
    ports: PortsGiven,
}

/// `None`: auto.
#[derive(Debug, Clone, Copy)]
struct Format(Option<InputFormat>);

impl Reading {
    /// # Errors
    /// Columns are named of a format that has none.
    pub(crate) fn options(&self) -> Result<InputOptions, String> {
        let format = self.input_format.0;
        if let Some(format) = format.filter(|format| *format != InputFormat::Csv)
            && self.column.is_some()
        {
            return Err(format!("--column is for csv, not for {format}; leave one of them out"));
        }
        let mut options = InputOptions::default();
        options.format = format;
        options.columns.clone_from(&self.column);
        options.labels = self.labels;
        options.hosts_up = self.ports.0;
        Ok(options)
    }

    /// Whether the command line says the ports of targets that name none.
    pub(crate) fn has_ports(&self) -> bool {
        self.ports.0
    }

    /// The same as arguments.
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

/// Whether `--ports` is an argument, and not its default.
///
/// Invariant: it stands before the ports in its command, because whoever reads a value takes it.
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

fn formats() -> impl TypedValueParser<Value = Format> {
    let names = InputFormat::ALL.map(InputFormat::name);
    let values: Vec<_> = std::iter::once(AUTO).chain(names).map(PossibleValue::new).collect();
    // What is none of these is refused before.
    PossibleValuesParser::new(values).map(|name| Format(name.parse().ok()))
}

fn columns(text: &str) -> Result<Columns, String> {
    text.parse::<Columns>().map_err(|error| error.to_string())
}
