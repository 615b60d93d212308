//! Mistakes about the runs that `report` and `diff` read, and about what they write.

use std::{fs::File, io::Read, path::Path};

use portmuster::targets::Ports;

use super::{edit::Edit, targets};
use crate::command_line::{CommandLine, extension};

/// The first bytes of a database (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const DATABASE: &[u8] = b"SQLite format 3\0";

/// Names of the formats of a report, each with its option; empty: it needs none.
const FORMATS: [(&str, &str); 7] = [
    ("html", ""),
    ("htm", ""),
    ("page", ""),
    ("md", "--markdown"),
    ("markdown", "--markdown"),
    ("json", "--json"),
    ("jsonl", "--json"),
];

/// Returns the option of a format of reports; `None`: there is no format of this name.
fn format_option(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    FORMATS.iter().find(|(known, _)| *known == lower).map(|(_, option)| *option)
}

/// Returns whether a file is a database, or has the name of one and does not exist.
pub(super) fn is_database(file: &str) -> bool {
    let mut start = [0; DATABASE.len()];
    if Path::new(file).is_file() {
        let found = File::open(file).and_then(|mut file| file.read_exact(&mut start));
        return found.is_ok() && start == *DATABASE;
    }
    [".db", ".sqlite", ".sqlite3"].iter().any(|it| file.ends_with(it))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the option of `report` that sets the format; `None`: none is given.
fn given_format(line: &CommandLine) -> Option<&'static str> {
    ["markdown", "json"]
        .into_iter()
        .find(|id| line.ids().any(|it| it == *id))
        .map(|id| if id == "json" { "--json" } else { "--markdown" })
}

/// Finds `--html`, `--md`, `--format NAME`, `--run N` or `-i` of `report`.
pub(super) fn option_of_report(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "report")?;
    line.flags().find_map(|(index, word)| {
        let (name, own) = word.split_once('=').map_or((word, None), |(a, b)| (a, Some(b)));
        let next = line.words().get(index + 1).filter(|next| !next.starts_with('-'));
        let value = own.or(next.map(String::as_str));
        let count = 1 + usize::from(own.is_none() && value.is_some());
        match name {
            "--html" | "--page" => {
                let reason =
                    format!("{name} is not an option of report, which makes a page anyway");
                Some(Edit::new(reason, line.replaced(index, 1, [])))
            }
            "--pdf" => {
                let reason = "report writes no PDF: print the page with a browser";
                Some(Edit::partial(reason, line.replaced(index, 1, [])))
            }
            "--md" => {
                let reason = "--md is not an option of report: use --markdown";
                Some(Edit::new(reason, line.replaced(index, 1, ["--markdown".to_owned()])))
            }
            "--format" | "-f" => {
                let option = format_option(value?)?;
                let option = Some(option).filter(|it| !it.is_empty()).map(str::to_owned);
                let reason =
                    format!("{name} is not an option of report: --markdown and --json are");
                Some(Edit::new(reason, line.replaced(index, count, option)))
            }
            "--run" => run_option(line, index, count, value?),
            "-i" | "--input" => {
                let reason = format!("{name} is not an option of report: the run stands alone");
                Some(Edit::new(reason, line.replaced(index, 1, [])))
            }
            _ => None,
        }
    })
}

/// Joins the file of a database with the number of its run in an option of its own.
fn run_option(line: &CommandLine, index: usize, count: usize, run: &str) -> Option<Edit> {
    let (file_index, file) = line.operands().next().filter(|(_, file)| *file != run)?;
    let (file, reason) = (format!("{file}#{run}"), "a run of a database is FILE#RUN");
    let without = line.replaced(index, count, []);
    let file_index = if file_index > index { file_index - count } else { file_index };
    Some(Edit::new(reason, CommandLine::new(without).replaced(file_index, 1, [file])))
}

/// Finds an output of `report` that names a format, or a file of another format.
pub(super) fn output_of_report(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "report")?;
    let (value, text) = line.values("output").next()?;
    // The run itself is never written, whatever the format.
    if line.operands().any(|(_, run)| Path::new(run) == Path::new(text)) {
        return None;
    }
    let given = given_format(line);
    if let Some((name, file)) = text.split_once('=')
        && let Some(option) = format_option(name).filter(|_| !file.is_empty())
    {
        let reason = format!("{text:?} is not a file: -o of report names the file only");
        return Some(Edit::new(reason, with_output(line, value.word, option, file)));
    }
    if let Some(option) = format_option(text) {
        let file = if option.is_empty() { "report.html" } else { "-" };
        let reason = format!("{text:?} is a format, and -o of report names a file");
        return Some(Edit::new(reason, with_output(line, value.word, option, file)));
    }
    let (stem, extension) = text.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    if extension.eq_ignore_ascii_case("pdf") {
        let reason = "report writes no PDF: print the page with a browser";
        let words = line.with_value(value, &format!("{stem}.html"));
        return Some(Edit::partial(reason, words));
    }
    let option = format_option(extension)?;
    match given {
        None if option.is_empty() => None,
        None => {
            let reason =
                format!("{text:?} is not named as a page, and a page is what report makes");
            Some(Edit::new(reason, with_output(line, value.word, option, text)))
        }
        Some(given) if given != option => {
            let ending = if given == "--json" { "json" } else { "md" };
            let reason = format!("{given} writes no .{extension}");
            Some(Edit::new(reason, line.with_value(value, &format!("{stem}.{ending}"))))
        }
        Some(_) => None,
    }
}

/// Returns the words with the option of a format, unless one is given, and with another file in the place
/// of the value in a word.
fn with_output(line: &CommandLine, word: usize, option: &str, file: &str) -> Vec<String> {
    let Some((value, _)) = line.values("output").find(|(value, _)| value.word == word) else {
        return line.words().to_vec();
    };
    let option = Some(option).filter(|it| !it.is_empty() && given_format(line).is_none());
    let output = ["-o".to_owned(), file.to_owned()];
    let output = output.into_iter().filter(|_| file != "-");
    line.without_option(value, option.map(str::to_owned).into_iter().chain(output))
}

/// Finds a second argument of `report`: a file to write, an earlier run, or the number of a run.
pub(super) fn second_of_report(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "report")?;
    let operands: Vec<_> = line.operands().collect();
    let [(first, run), (second, word)] = operands[..] else { return None };
    if is_number(word) {
        let words = CommandLine::new(line.replaced(second, 1, []));
        let words = words.replaced(first, 1, [format!("{run}#{word}")]);
        return Some(Edit::new("a run of a database is FILE#RUN", words));
    }
    let extension = word.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_output = format_option(extension).is_some() && !extension.starts_with("json")
        || extension.eq_ignore_ascii_case("pdf");
    if is_output && line.values("output").next().is_none() {
        let reason = format!("{word:?} is not a run: -o names the file to write");
        return Some(Edit::new(reason, line.replaced(second, 0, ["-o".to_owned()])));
    }
    if is_output || line.values("since").next().is_some() {
        return None;
    }
    let later = line.replaced(second, 1, ["--since".to_owned(), run.to_owned()]);
    let words = CommandLine::new(later).replaced(first, 1, [word.to_owned()]);
    Some(Edit::new("report is about one run: --since names an earlier one", words))
}

/// Finds a host in the place of the run of `report`.
pub(super) fn host_for_run(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| ["report", "diff"].contains(name))?;
    let is_host = |word: &str| {
        let is_address = word.starts_with(|it: char| it.is_ascii_digit()) && word.contains('.');
        let is_run = Path::new(word).exists() || word.contains('#') || extension(word).is_some();
        !is_run && (is_address || word == "localhost") && targets::looks_like(word)
    };
    let (_, word) = line.operands().find(|(_, word)| is_host(word))?;
    Some(Edit::unknown(format!(
        "{word:?} is a host, and a run is a file: portmuster check {word} -o jsonl=run.jsonl writes one"
    )))
}

/// Finds the number of a run after `--since`, in the place of a run.
pub(super) fn number_after_since(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "report")?;
    let (value, text) = line.values("since").find(|(_, text)| {
        let number = text.strip_prefix(['#', '-']).unwrap_or(text);
        (is_number(number) || *text == "#last") && !Path::new(text).exists()
    })?;
    let (_, run) = line.operands().next()?;
    let file = run.split('#').next().unwrap_or(run);
    let meant = format!("{file}#{}", text.trim_start_matches('#'));
    let reason = format!("{text:?} is not a run: a run of a database is FILE#RUN");
    Some(Edit::new(reason, line.with_value(value, &meant)))
}

/// Finds `FILE 1 2` and `FILE:1 FILE:2` of `diff`, in the place of `FILE#1 FILE#2`.
pub(super) fn numbers_of_diff(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "diff")?;
    let operands: Vec<_> = line.operands().collect();
    let reason = "a run of a database is FILE#RUN";
    if let [(index, file), (_, old), (last, new)] = operands[..]
        && is_number(old)
        && is_number(new)
        && last == index + 2
    {
        let runs = [format!("{file}#{old}"), format!("{file}#{new}")];
        return Some(Edit::new(reason, line.replaced(index, 3, runs)));
    }
    let (index, meant) = operands.iter().find_map(|&(index, word)| {
        let (file, run) = word.rsplit_once(':').filter(|_| !Path::new(word).exists())?;
        let is_run = is_number(run) || run == "last";
        (is_run && is_database(file)).then(|| (index, format!("{file}#{run}")))
    })?;
    Some(Edit::new(reason, line.replaced(index, 1, [meant])))
}

/// Finds an output of `diff` that is a file, which only stdout can be.
pub(super) fn file_of_diff(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "diff")?;
    let (value, text) = line.values("output").next()?;
    let (format, file) = match text.split_once('=') {
        Some((format, file)) => (Some(format), file),
        None => (None, text),
    };
    let known = |name: &str| ["table", "jsonl"].contains(&name);
    if format.is_none_or(|name| !known(name)) && !file.contains('.') {
        return None;
    }
    let is_jsonl = |extension: &str| extension.eq_ignore_ascii_case("jsonl");
    let format = format.or_else(|| extension(file).is_some_and(is_jsonl).then_some("jsonl"));
    let instead = format.filter(|name| *name != "table").map(|name| ["-o".to_owned(), name.into()]);
    let words = line.without_option(value, instead.into_iter().flatten());
    let command = CommandLine::new(words).quoted();
    Some(Edit::unknown(format!(
        "-o of diff names the format, and the changes go to stdout: {command} > {file}"
    )))
}

/// Finds `--since` of `diff`, whose runs stand alone.
pub(super) fn since_of_diff(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "diff")?;
    let (index, word) = line.flags().find(|(_, word)| word.split('=').next() == Some("--since"))?;
    let reason = "diff has no option --since: the earlier run comes first";
    let run = word.split_once('=').map(|(_, run)| run.to_owned());
    Some(Edit::new(reason, line.replaced(index, 1, run)))
}

/// Finds a single run of `diff` that is not a database.
pub(super) fn later_run_missing(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "diff")?;
    let operands: Vec<_> = line.operands().collect();
    let asks_for_help = line.flags().any(|(_, word)| ["-h", "--help"].contains(&word));
    match operands[..] {
        [(_, word)] if !asks_for_help && word.parse::<Ports>().is_err() => {
            Some(Edit::unknown(format!("the later run is missing: portmuster diff {word} NEW")))
        }
        _ => None,
    }
}
