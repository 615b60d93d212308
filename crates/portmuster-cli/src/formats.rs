//! The formats of outputs: one table, whose rows are all that the program knows about each format.

use std::{
    env, fmt,
    fs::File,
    io::{self, Write},
    path::Path,
};

use portmuster::sink::{
    Beginning, Csv, DatabaseError, HostTable, Jsonl, KnownHosts, List, Paint, PreparedRun,
    ResumableOutput, ResumableSink, ResumePoint, SCHEMA, Sarif, SarifRules, Sink, SortedTable,
    Sqlite, Table, TableOrder, Xml, XmlFile, group_hosts,
};

mod line_buffer;
mod page;
mod rowless;

pub(crate) use self::{line_buffer::LineBuffer, page::facts as report_facts};
use crate::terminal::Screen;

/// The formats, in the order in which the help lists them.
pub(crate) static OUTPUT_FORMATS: [OutputFormat; 9] = [
    OutputFormat {
        name: "table",
        about: "aligned columns for reading",
        shows_all: false,
        storage: Storage::Rows(RowFormat {
            stream: |output, settings, screen| Ok(begin_table(output, settings, screen)),
            file: |output, settings| {
                let table = Table::new(output, Paint::Plain).host_keys(settings.has_host_keys);
                Ok(Box::new(table.labels(Some(settings.labels.in_file()))))
            },
            append: Ok(|output, settings| {
                Box::new(Table::new(output, Paint::Plain).host_keys(settings.has_host_keys))
            }),
            resume: |output, settings, point| {
                let table = Table::resume(output, Paint::Plain, point)?;
                let table = table.host_keys(settings.has_host_keys);
                Ok(Box::new(table.labels(Some(settings.labels.in_file()))))
            },
            headers: Vec::new,
            row_prefix: || None,
            is_rowless: |_| false,
            group: None,
        }),
    },
    OutputFormat {
        name: "list",
        about: "host:port, one per line, for other programs",
        shows_all: false,
        storage: Storage::Rows(RowFormat {
            stream: |output, _, _| Ok(Box::new(List::new(output))),
            file: |output, _| Ok(Box::new(List::new(output))),
            append: Ok(|output, _| Box::new(List::new(output))),
            resume: |output, _, point| Ok(Box::new(List::resume(output, point)?)),
            headers: Vec::new,
            row_prefix: || None,
            is_rowless: |_| false,
            group: None,
        }),
    },
    OutputFormat {
        name: "jsonl",
        about: "JSON Lines: one object per line",
        shows_all: true,
        storage: Storage::Rows(RowFormat {
            stream: |output, _, _| Ok(Box::new(Jsonl::new(output))),
            file: |output, _| Ok(Box::new(Jsonl::new(output))),
            append: Ok(|output, _| Box::new(Jsonl::new(output))),
            resume: |output, _, point| Ok(Box::new(Jsonl::resume(output, point)?)),
            headers: Vec::new,
            row_prefix: || Some(format!("{{\"schema\":{SCHEMA},")),
            is_rowless: |_| false,
            group: None,
        }),
    },
    OutputFormat {
        name: "csv",
        about: "the fields of jsonl as columns; cells are safe to open in a spreadsheet",
        shows_all: true,
        storage: Storage::Rows(RowFormat {
            stream: |output, settings, _| Ok(Box::new(begin_csv(output, settings)?)),
            file: |output, settings| Ok(Box::new(begin_csv(output, settings)?)),
            append: Ok(|output, _| Box::new(Csv::without_header(output))),
            resume: |output, _, point| Ok(Box::new(Csv::resume(output, point)?)),
            headers: csv_headers,
            row_prefix: || Some(format!("{SCHEMA},")),
            is_rowless: |content| csv_headers().iter().any(|it| content == it.as_bytes()),
            group: None,
        }),
    },
    OutputFormat {
        name: "xml",
        about: "nmap's XML format, for programs that read it",
        shows_all: true,
        storage: Storage::Rows(RowFormat {
            stream: |output, settings, _| Ok(Box::new(Xml::new(output, &settings.beginning))),
            file: |output, settings| Ok(Box::new(XmlFile::begin(output, &settings.beginning)?)),
            append: Err("a finished XML document can't be appended to: choose another file, or \
                         use --force"),
            resume: |output, _, point| Ok(Box::new(XmlFile::resume(output, point)?)),
            headers: Vec::new,
            row_prefix: || None,
            is_rowless: rowless::is_rowless_xml,
            group: Some(Grouper {
                write: |rows, output, scratch, point, _| group_hosts(rows, output, scratch, point),
                beginning: "<?xml ",
            }),
        }),
    },
    OutputFormat {
        name: "sarif",
        about: "findings, and what --forbid names, as results of an analysis tool (SARIF 2.1.0)",
        shows_all: true,
        storage: Storage::Rows(RowFormat {
            stream: |output, settings, _| Ok(Box::new(Sarif::begin(output, &settings.sarif)?)),
            file: |output, settings| Ok(Box::new(Sarif::begin(output, &settings.sarif)?)),
            append: Err(
                "a finished SARIF document can't be appended to: choose another file, or use \
                         --force",
            ),
            resume: |output, settings, point| {
                Ok(Box::new(Sarif::resume(output, &settings.sarif, point)?))
            },
            headers: Vec::new,
            row_prefix: || None,
            is_rowless: rowless::is_rowless_sarif,
            group: None,
        }),
    },
    OutputFormat {
        name: "html",
        about: "a page to read or to mail, once the run has ended",
        shows_all: true,
        storage: Storage::Rows(RowFormat {
            stream: |_, _, _| Err(io::Error::new(io::ErrorKind::InvalidInput, page::NEEDS_FILE)),
            file: |output, settings| Ok(Box::new(page::begin(output, &settings.beginning)?)),
            append: Err(
                "a finished page can't be appended to: choose another file, or use --force",
            ),
            resume: |output, _, point| Ok(Box::new(Jsonl::resume(output, point)?)),
            headers: Vec::new,
            row_prefix: || Some(format!("{{\"schema\":{SCHEMA},")),
            is_rowless: page::is_rowless,
            group: Some(Grouper { write: page::write, beginning: page::BEGINNING }),
        }),
    },
    OutputFormat {
        name: KNOWN_HOSTS,
        about: "proven host keys, as ssh reads them (--host-keys)",
        shows_all: false,
        storage: Storage::Rows(RowFormat {
            stream: |output, settings, _| Ok(Box::new(begin_known_hosts(output, settings))),
            file: |output, settings| Ok(Box::new(begin_known_hosts(output, settings))),
            append: Ok(|output, settings| Box::new(begin_known_hosts(output, settings))),
            resume: |output, settings, point| {
                let resumed = KnownHosts::resume(output, point)?;
                Ok(Box::new(resumed.hash_hosts(settings.hashes_hosts)))
            },
            headers: Vec::new,
            row_prefix: || None,
            is_rowless: |_| false,
            group: None,
        }),
    },
    OutputFormat {
        name: "sqlite",
        about: "a database file; each run is added to the runs in it",
        shows_all: true,
        storage: Storage::Database(DatabaseFormat {
            inspect: |path| Sqlite::inspect(path),
            has_run: |path, run, last, fingerprint| Sqlite::has_run(path, run, last, fingerprint),
            begin: |path, beginning| PreparedRun::begin(path, beginning),
            resume: |path, run, last| PreparedRun::resume(path, run, last),
        }),
    },
];

/// The name of the format of host keys.
pub(crate) const KNOWN_HOSTS: &str = "known-hosts";

/// A format of outputs.
pub(crate) struct OutputFormat {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// What it is, for the help.
    about: &'static str,
    /// Whether targets that are not open are written, too, unless `--show` says otherwise.
    pub(crate) shows_all: bool,
    pub(crate) storage: Storage,
}

/// Where a format keeps its rows, and how.
pub(crate) enum Storage {
    /// On stdout or in a file, one after another.
    Rows(RowFormat),
    /// In a database, which needs a file.
    Database(DatabaseFormat),
}

/// What rows depend on besides the outcomes.
#[derive(Debug)]
pub(crate) struct RowSettings {
    pub(crate) beginning: Beginning,
    /// What SARIF reports.
    pub(crate) sarif: SarifRules,
    /// Whether CSV begins with a byte order mark.
    pub(crate) is_for_excel: bool,
    /// Whether `known_hosts` has hashes instead of names.
    pub(crate) hashes_hosts: bool,
    /// Whether servers are asked for host keys, so that tables have a column for them.
    pub(crate) has_host_keys: bool,
    pub(crate) labels: Labels,
    pub(crate) arrangement: Arrangement,
}

/// Whether targets have labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Labels {
    /// No target has a label.
    None,
    Some,
    /// The targets come from a stream.
    Unknown,
}

impl Labels {
    /// Returns whether a table in a file has a column for labels. A resumed run must decide alike.
    fn in_file(self) -> bool {
        self == Self::Some
    }

    /// Returns whether a table on a stream has a column for labels; `None`: its first row decides.
    fn on_stream(self) -> Option<bool> {
        (self != Self::Unknown).then_some(self == Self::Some)
    }
}

/// How the rows of a table on standard output are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// As their results arrive.
    AsFound,
    /// In an order, at the end.
    Sorted(TableOrder),
    /// One for each host, at the end.
    Grouped,
}

fn begin_table(output: RowStream, settings: &RowSettings, screen: Screen) -> Box<dyn Sink> {
    let RowSettings { labels, arrangement, has_host_keys, .. } = settings;
    let Screen { paint, width } = screen;
    let scratch = env::temp_dir();
    match arrangement {
        Arrangement::AsFound => {
            let table = Table::new(output, paint).width(width).host_keys(*has_host_keys);
            Box::new(table.labels(labels.on_stream()))
        }
        Arrangement::Sorted(order) => {
            let table = SortedTable::new(output, paint, *order, &scratch);
            let table = table.host_keys(*has_host_keys);
            Box::new(table.width(width).labels(*labels != Labels::None))
        }
        Arrangement::Grouped => {
            let table = HostTable::new(output, paint, &scratch);
            Box::new(table.width(width).labels(*labels != Labels::None))
        }
    }
}

fn begin_csv<W: Write>(output: W, settings: &RowSettings) -> io::Result<Csv<W>> {
    if settings.is_for_excel { Csv::begin_for_excel(output) } else { Csv::begin(output) }
}

fn begin_known_hosts<W: Write>(output: W, settings: &RowSettings) -> KnownHosts<W> {
    KnownHosts::new(output).hash_hosts(settings.hashes_hosts)
}

fn csv_headers() -> Vec<String> {
    vec![Csv::header(), Csv::header_for_excel()]
}

/// Standard output, a device or a pipe.
pub(crate) type RowStream = LineBuffer<Box<dyn Write>>;

/// A regular file.
pub(crate) type RowFile = LineBuffer<Box<dyn ResumableOutput>>;

/// Begins rows after those of other runs.
type AppendRows = fn(RowFile, &RowSettings) -> Box<dyn ResumableSink>;

/// Writes the rows of a finished file to another one, in which rows that belong together are grouped.
///
/// The arguments are the two files, a folder for temporary files, a resume point of the first, and the
/// summary of the run in JSON. Returns the resume point of the second.
pub(crate) type GroupRows = fn(&File, &File, &Path, ResumePoint, &str) -> io::Result<ResumePoint>;

/// How the rows of a finished file are grouped.
pub(crate) struct Grouper {
    pub(crate) write: GroupRows,
    /// How the new file begins: that is what tells a leftover from a file of the user.
    pub(crate) beginning: &'static str,
}

/// A format of rows that are written one after another.
pub(crate) struct RowFormat {
    /// Begins rows on a stream.
    pub(crate) stream: fn(RowStream, &RowSettings, Screen) -> io::Result<Box<dyn Sink>>,
    /// Begins rows in an empty file.
    pub(crate) file: fn(RowFile, &RowSettings) -> io::Result<Box<dyn ResumableSink>>,
    /// Begins rows after those of other runs; or why that is impossible.
    pub(crate) append: Result<AppendRows, &'static str>,
    /// Continues the rows of this run, and removes those after the resume point.
    pub(crate) resume: fn(RowFile, &RowSettings, ResumePoint) -> io::Result<Box<dyn ResumableSink>>,
    /// Returns what a file must begin with so that rows can be appended to it: one of these, or anything if
    /// there are none.
    pub(crate) headers: fn() -> Vec<String>,
    /// Returns how each line begins that is a row; `None`: rows look like any other line.
    pub(crate) row_prefix: fn() -> Option<String>,
    /// Returns whether content is no more than what a run writes before its rows. It is not empty.
    pub(crate) is_rowless: fn(&[u8]) -> bool,
    /// Groups the rows of a file once the run has ended; `None`: they stay as they were written.
    pub(crate) group: Option<Grouper>,
}

/// A format of databases, which collect runs.
pub(crate) struct DatabaseFormat {
    /// Checks that a file is such a database or empty, without changing it.
    pub(crate) inspect: fn(&Path) -> Result<(), DatabaseError>,
    /// Returns whether the database has all outcomes of a run up to the second id; the last number is
    /// the run's fingerprint.
    pub(crate) has_run: fn(&Path, i64, i64, u64) -> Result<bool, DatabaseError>,
    /// Prepares a new run.
    pub(crate) begin: fn(&Path, &Beginning) -> Result<PreparedRun, DatabaseError>,
    /// Prepares to continue a run after its outcome with the second id.
    pub(crate) resume: fn(&Path, i64, i64) -> Result<PreparedRun, DatabaseError>,
}

impl OutputFormat {
    /// Finds a format by its name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        OUTPUT_FORMATS.iter().find(|format| format.name == name)
    }

    /// Returns whether the format is a database, which needs a file.
    pub(crate) fn is_database(&self) -> bool {
        matches!(self.storage, Storage::Database(_))
    }

    /// Returns what it is that needs a file and can't go to stdout; `None`: the format can.
    pub(crate) fn needs_file(&self) -> Option<&'static str> {
        match &self.storage {
            Storage::Database(_) => Some("a database"),
            Storage::Rows(_) if self.name == "html" => Some("a page"),
            Storage::Rows(_) => None,
        }
    }

    /// Returns whether a new file with grouped rows replaces a file of this format at the end of the run.
    pub(crate) fn groups_rows(&self) -> bool {
        matches!(self.storage, Storage::Rows(RowFormat { group: Some(_), .. }))
    }
}

impl PartialEq for OutputFormat {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OutputFormat {}

impl fmt::Debug for OutputFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// The formats that the extensions of file names suggest, apart from the names of formats.
const EXTENSIONS: [(&str, &str); 11] = [
    ("ndjson", "jsonl"),
    ("json", "jsonl"),
    ("htm", "html"),
    ("db", "sqlite"),
    ("sqlite3", "sqlite"),
    ("txt", "table"),
    ("text", "table"),
    ("log", "table"),
    ("out", "table"),
    ("nmap", "table"),
    ("lst", "list"),
];

/// Returns the format that the name of a file suggests; `None` if its extension is unknown.
pub(crate) fn of_file(file: &str) -> Option<&'static str> {
    let extension = Path::new(file).extension()?.to_str()?.to_ascii_lowercase();
    let known = EXTENSIONS.iter().find(|(known, _)| *known == extension).map(|(_, format)| *format);
    known.or_else(|| names().into_iter().find(|name| *name == extension))
}

/// Returns the names of all formats.
pub(crate) fn names() -> [&'static str; OUTPUT_FORMATS.len()] {
    OUTPUT_FORMATS.each_ref().map(|format| format.name)
}

/// Iterates over the formats, each with what it is.
pub(crate) fn meanings() -> impl Iterator<Item = (&'static str, &'static str)> {
    OUTPUT_FORMATS.iter().map(|format| (format.name, format.about))
}

/// Returns the short help of `--output`.
pub(crate) fn help() -> String {
    let names = names();
    let [rest @ .., last] = &names;
    format!("Write rows as {} or {last}, to stdout or a file; repeatable", rest.join(", "))
}

/// Returns the long help of `--output`, with one line for each format.
pub(crate) fn long_help() -> String {
    let width = names().into_iter().map(str::len).max().unwrap_or_default();
    let start = "Write rows to stdout or a file; repeatable, with at most one output on stdout.";
    OUTPUT_FORMATS.iter().fold(start.to_owned(), |help, OutputFormat { name, about, .. }| {
        format!("{help}\n  {name:<width$}  {about}")
    })
}

/// Returns the help of `--append`, with the formats for which it is impossible.
pub(crate) fn append_help() -> String {
    let refuses = |format: &&OutputFormat| matches!(&format.storage, Storage::Rows(rows) if rows.append.is_err());
    let refusing: Vec<_> = OUTPUT_FORMATS.iter().filter(refuses).map(|it| it.name).collect();
    format!("Append to existing output files (not possible for {})", refusing.join(", "))
}
