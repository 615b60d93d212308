//! What a run writes at its end for other programs: its summary, its metrics, and its gates as tests.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use anyhow::{Context, anyhow};
use portmuster::{
    config::Proxy,
    gates::{GateReport, RunTotals},
};

mod junit;
mod metrics;
mod record;
mod run_end;

use self::record::SummaryRecord;
pub(crate) use self::run_end::RunEnd;
use crate::{
    args::Check,
    output::{ClosingContent, ClosingFile, MetricsFile, OpenError},
    read_files::ReadFiles,
};

/// Returns the summary of a run that ended at `time`, in JSON, before the program ends.
pub(crate) fn describe_run(
    totals: &RunTotals,
    report: Option<&GateReport>,
    time: SystemTime,
    is_stopped: bool,
) -> String {
    let record = SummaryRecord::new(totals, report, time, is_stopped, None);
    serde_json::to_string(&record).unwrap_or_default()
}

/// The files that are written at the end of a run.
pub(crate) struct ClosingOutputs {
    summary: Option<SummaryOutput>,
    metrics: Option<Box<MetricsFile>>,
    junit: Option<Box<ClosingFile>>,
    proxy: Option<Proxy>,
}

/// Where the summary of a run is written at its end.
enum SummaryOutput {
    Stdout,
    File(Box<ClosingFile>),
}

impl ClosingOutputs {
    /// Opens and locks the files of the command line without changing them.
    ///
    /// # Errors
    /// A file is refused as other outputs are, an output goes to stdout as well as the summary, or the
    /// run has no gates to write.
    pub(crate) fn open(check: &Check, reads: &ReadFiles) -> Result<Self, OpenError> {
        let summary = SummaryOutput::open(check, reads)?;
        let metrics = check.reports.metrics.as_deref();
        let metrics = metrics.map(|path| MetricsFile::open(check, path, reads)).transpose()?;
        let junit = check.reports.gates_junit.as_deref();
        if junit.is_some() && !check.gates.are_set() {
            let error = "--gates-junit needs a gate: --forbid or --require-verdict";
            return Err(anyhow!(error).into());
        }
        let open = |path| ClosingFile::open(check, path, ClosingContent::Junit, reads);
        let junit = junit.map(open).transpose()?;
        let (metrics, junit) = (metrics.map(Box::new), junit.map(Box::new));
        Ok(Self { summary, metrics, junit, proxy: check.proxy.proxy() })
    }

    /// Empties the files, unless the summary is appended or the metrics of an earlier run remain until
    /// there are new ones. So what an earlier run wrote is not taken for the result of this one.
    ///
    /// # Errors
    /// A file can't be emptied.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        if let Some(SummaryOutput::File(file)) = &mut self.summary {
            file.begin()?;
        }
        self.junit.as_mut().map_or(Ok(()), |file| file.begin())
    }

    /// Writes the files, and returns the errors of those that can't be written.
    pub(crate) fn write(
        self,
        totals: &RunTotals,
        report: Option<&GateReport>,
        end: RunEnd,
    ) -> Vec<anyhow::Error> {
        let Self { summary, metrics, junit, proxy } = self;
        let summary = summary.map(|output| {
            let record =
                SummaryRecord::new(totals, report, end.time, end.is_stopped, Some(end.status));
            output.write(&record.through(proxy.as_ref()))
        });
        let junit = junit
            .zip(report)
            .map(|(file, report)| file.write(&junit::describe(totals, report, end)?));
        let metrics =
            metrics.map(|file| file.write(|before| metrics::describe(totals, report, end, before)));
        [summary, junit, metrics].into_iter().flatten().filter_map(Result::err).collect()
    }
}

impl SummaryOutput {
    fn open(check: &Check, reads: &ReadFiles) -> Result<Option<Self>, OpenError> {
        let Some(spec) = &check.summary else { return Ok(None) };
        if let Some(path) = spec.file() {
            let file = ClosingFile::open(check, path, ClosingContent::Summary, reads)?;
            return Ok(Some(Self::File(Box::new(file))));
        }
        if check.outputs.iter().any(|output| output.file().is_none()) {
            let error = "an output goes to stdout as well: write the summary to a file with --summary \
                         json=FILE";
            return Err(anyhow!(error).into());
        }
        reads.refuse_stdout()?;
        Ok(Some(Self::Stdout))
    }

    fn write(self, record: &SummaryRecord) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        match self {
            Self::Stdout => write_stdout(&line),
            Self::File(file) => file.write(&line),
        }
    }
}

fn write_stdout(line: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(line).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing the summary to standard output"),
    }
}
