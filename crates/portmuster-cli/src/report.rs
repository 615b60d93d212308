//! `portmuster report`: makes a page of a run.

use std::{fs, io, io::IsTerminal, path::Path};

use anyhow::{Context, bail};
use portmuster::history::{Change, ChangeRow, Changes};
use portmuster_report::{ChangeList, Collector, Report, RunRecord};

mod file;

use self::file::ReportFile;
use crate::{
    args::{Report as ReportArgs, ReportFormat},
    formats::report_facts,
    progress::Steps,
    read_files::ReadFiles,
    run_source::{RunRemarks, Source},
    signals,
    status::Status,
    terminal,
};

/// Limit of the length of a summary, in bytes: many times more than it has.
const SUMMARY_MAX: u64 = 1 << 20;

/// Makes the report and writes it.
///
/// # Errors
/// A run or the summary can't be read, or the file is refused.
pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<Status> {
    let run = Source::parse(&args.run)?;
    let since = args.since.as_deref().map(Source::parse).transpose()?;
    let reads = files(args, &run, since.as_ref());
    let named = args.output.as_deref().filter(|path| *path != Path::new("-"));
    let file = named.map(|path| ReportFile::prepare(path, args.force, &reads)).transpose()?;
    if file.is_none() {
        reads.refuse_stdout()?;
        refuse_terminal(args)?;
    }
    let sources = [Some(&run), since.as_ref()].into_iter().flatten();
    signals::exit_on_truncated_mapping(sources.filter(|it| it.is_database()).map(Source::path));
    let progress = (!args.quiet).then(|| Steps::start(2 + u64::from(since.is_some())));
    let report = make(args, &run, since.as_ref(), progress.as_ref())?;
    begin_step(progress.as_ref(), "writing the report".to_owned());
    let text = match args.format() {
        ReportFormat::Html => report.to_html(),
        ReportFormat::Markdown => report.to_markdown(),
        ReportFormat::Json => report.to_json(),
    };
    let written = file.as_ref().map(|file| file.write(text.as_bytes()));
    drop(progress);
    let Some(written) = written else {
        return Ok(terminal::print(&mut io::stdout().lock(), text.as_bytes()));
    };
    if let Err(error) = written {
        terminal::error(&error);
        return Ok(Status::Incomplete);
    }
    if !args.quiet {
        terminal::note(&report.verdict.sentence);
        let format = match args.format() {
            ReportFormat::Html => "html",
            ReportFormat::Markdown => "markdown",
            ReportFormat::Json => "json",
        };
        if let Some(path) = named {
            terminal::note(format!("written: {} ({format})", path.display()));
        }
    }
    Ok(Status::Complete)
}

/// Returns the files that the command reads.
fn files(args: &ReportArgs, run: &Source, since: Option<&Source>) -> ReadFiles {
    let mut reads = ReadFiles::default();
    for source in [Some(run), since].into_iter().flatten() {
        reads.add(source.path(), "a run");
    }
    if let Some(summary) = &args.summary {
        reads.add(summary, "the summary");
    }
    reads
}

/// Refuses to print a page on a terminal, which would show its markup.
fn refuse_terminal(args: &ReportArgs) -> anyhow::Result<()> {
    if args.format() == ReportFormat::Html && args.output.is_none() && io::stdout().is_terminal() {
        bail!("a page is for a browser: name a file with -o report.html, or use --markdown");
    }
    Ok(())
}

/// Shows what the program does next; `None`: progress is not shown.
fn begin_step(progress: Option<&Steps>, what: String) {
    if let Some(progress) = progress {
        progress.begin(what);
    }
}

fn make(
    args: &ReportArgs,
    run: &Source,
    since: Option<&Source>,
    progress: Option<&Steps>,
) -> anyhow::Result<Report> {
    let mut rows = Collector::default();
    begin_step(progress, format!("reading {}", run.name()));
    let remarks = run.read_lines(args.quiet, |_, line| Ok(rows.add_line(line)?))?;
    let mut facts = report_facts(run.name());
    facts.is_partial = remarks.defect.is_some();
    facts.record = record(args, remarks)?;
    if let Some(since) = since {
        begin_step(progress, format!("comparing with {}", since.name()));
    }
    facts.changes = since.map(|since| changes(args, since, run)).transpose()?;
    Ok(Report::new(rows, facts))
}

/// Returns what the run has counted: from the summary if there is one, and from the database.
fn record(args: &ReportArgs, remarks: RunRemarks) -> anyhow::Result<Option<RunRecord>> {
    let stored = remarks.record.map(|json| serde_json::from_str::<RunRecord>(&json));
    let stored = stored.transpose().context("reading the record of the run")?;
    let Some(path) = &args.summary else { return Ok(stored) };
    let read = || -> anyhow::Result<RunRecord> {
        if fs::metadata(path)?.len() > SUMMARY_MAX {
            bail!("longer than {SUMMARY_MAX} bytes, so it is no summary");
        }
        let text = fs::read(path)?;
        // Summaries of several runs may have been appended to the file.
        let last = text.split(|&byte| byte == b'\n').rfind(|line| !line.trim_ascii().is_empty());
        Ok(RunRecord::parse(last.unwrap_or_default())?)
    };
    let given = read().with_context(|| format!("reading the summary {}", path.display()))?;
    let mut record = stored.unwrap_or_default();
    record.add(given);
    Ok(Some(record))
}

/// Compares the run with an earlier one.
fn changes(args: &ReportArgs, since: &Source, run: &Source) -> anyhow::Result<ChangeList> {
    if run.is_stdin() || since.is_stdin() {
        bail!("a run on stdin can't be compared, because it can be read only once: use a file");
    }
    // What is missing in the run itself has been said.
    let (old, new) = (since.read(args.quiet)?, run.read(true)?);
    let mut list = ChangeList::since(since.name());
    list.started = old.started;
    let mut changes = Changes::between(old.results, new.results);
    for change in changes.by_ref().filter(Change::is_of_open) {
        let record = serde_json::to_value(ChangeRow::from(&change))?;
        list.changes.push(serde_json::from_value(record)?);
    }
    let counts = changes.counts();
    list.targets_before = counts.old;
    list.not_compared = counts.unreached + counts.unchecked;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use portmuster::{PortState, Service, gates::Inconclusive};
    use portmuster_report::{Class, Doubt, classify};

    /// The report has its own table of what proves what, so that it needs no engine.
    #[test]
    fn report_and_gates_agree_on_what_is_proof() {
        for service in Service::ALL {
            let (class, doubt) = classify("open", "accepted", Some(service.name()), false);
            assert_eq!(doubt.is_none(), service.is_identified(), "{service}");
            assert!(class.is_open(), "{service}");
        }
        let doubt = |state: PortState| classify(state.name(), "x", None, false).1;
        for state in PortState::ALL {
            let is_proof = state == PortState::Closed;
            assert_eq!(doubt(state).is_none(), is_proof, "{state}");
        }
        assert_eq!(classify("open", "accepted", Some("telnet"), false), (Class::Telnet, None));
    }

    #[test]
    fn doubts_have_the_names_of_gates() {
        let names: Vec<_> = Doubt::ALL.iter().map(|doubt| doubt.name()).collect();
        let not_about_telnet = [
            Inconclusive::SshThrottled,
            Inconclusive::KexMissing,
            Inconclusive::BadLines,
            Inconclusive::HostKeyMissing,
        ];
        for kind in Inconclusive::ALL.into_iter().filter(|kind| !not_about_telnet.contains(kind)) {
            assert!(names.contains(&kind.name()), "{kind}");
        }
    }
}
