//! Outputs of a run that resumes: checked against the journal, then continued.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
};

use anyhow::{Context, anyhow, bail};
use portmuster::sink::ResumePoint;

use super::{
    begin::{self, OutputSink, Prepared},
    beside::remove_leftovers,
    content::Content,
    file::OpenFile,
    open::OpenRequest,
    run_tag::RunTag,
    saved::{SavedOutput, checksum_before},
};
use crate::{
    args::OutputSpec,
    formats::{DatabaseFormat, LineBuffer, RowFormat, RowSettings, Storage},
};

/// What happened to a database that lacks a run, and what to do about it.
const REPLACED: &str = "the database was replaced or its rows were changed; put the original back, or start \
    again without --resume";

/// Opens an output of a run that resumes, without changing it.
///
/// # Errors
/// The file can't be opened, is another one, or its rows before the resume point were changed.
pub(super) fn reopen(request: &OpenRequest<'_>, saved: &SavedOutput) -> anyhow::Result<OpenFile> {
    let file = request.reopen()?;
    if file.metadata().ino() != saved.inode {
        bail!("it is not the file that the run wrote: put that file back");
    }
    let found = file.metadata().len();
    match saved.resume_point {
        ResumePoint::Lines { length } | ResumePoint::Xml { length, .. } => {
            if found < length {
                bail!("it has only {found} of the {length} bytes that the run wrote");
            }
            if checksum_before(file.file(), saved.resume_point).ok() != saved.checksum_before {
                bail!(
                    "its first {length} bytes are not those that the run wrote, so it was changed or \
                     replaced: put the original file back, or start again with another file and \
                     another journal"
                );
            }
        }
        ResumePoint::Run { .. } => match request.content {
            Content::Database(database) => (database.inspect)(request.path)?,
            Content::Rows(_) | Content::Closing(_) | Content::Metrics => {
                bail!("the journal has no resume point for it")
            }
        },
        _ => bail!("the journal has no resume point for it"),
    }
    Ok(file)
}

/// Refuses a database that lacks outcomes of a complete run.
///
/// # Errors
/// The database lacks some, or can't be read.
pub(super) fn refuse_incomplete(
    request: &OpenRequest<'_>,
    saved: &SavedOutput,
) -> anyhow::Result<()> {
    let (ResumePoint::Run { run, last, fingerprint }, Content::Database(database)) =
        (saved.resume_point, request.content)
    else {
        return Ok(());
    };
    if !(database.has_run)(request.path, run, last, fingerprint)? {
        bail!("its run {run} is not the one in the journal: {REPLACED}");
    }
    Ok(())
}

/// Refuses to truncate content that others wrote after the rows of the run.
///
/// # Errors
/// Another run has written to the file, or a line after the resume point is no row.
pub(super) fn refuse_foreign(
    file: &OpenFile,
    spec: &OutputSpec,
    saved: &SavedOutput,
    run: &str,
) -> anyhow::Result<()> {
    let Storage::Rows(format) = &spec.format().storage else { return Ok(()) };
    let tag = if saved.is_tagged { RunTag::read(file.file()) } else { RunTag::Run(run.into()) };
    match tag {
        RunTag::Run(found) if found == run.as_bytes() => {}
        RunTag::Run(_) => bail!(
            "another run has written to it since this one was interrupted, and resuming would remove \
             its rows: start again with another file and another journal"
        ),
        RunTag::Missing | RunTag::Unsupported => bail!(
            "another run has written to it since this one was interrupted, or it is a copy of the \
             original file: put the original back, or start again with another file and another \
             journal"
        ),
    }
    let ResumePoint::Lines { length } = saved.resume_point else { return Ok(()) };
    let Some(prefix) = (format.row_prefix)() else { return Ok(()) };
    if let Some(at) = foreign_line(file.file(), length, &prefix)? {
        bail!(
            "after its first {at} bytes there is a line that is no row, and resuming would remove it: \
             move that line to another file first"
        );
    }
    Ok(())
}

/// Returns the offset of the first line from `from` on that does not begin like a row.
///
/// The last line may be incomplete, and a power failure may have left zeros.
fn foreign_line(mut file: &File, from: u64, prefix: &str) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let mut at = from;
    loop {
        let mut head = Vec::new();
        reader.by_ref().take(prefix.len() as u64).read_until(b'\n', &mut head)?;
        if head.is_empty() {
            return Ok(None);
        }
        let is_row = prefix.as_bytes().starts_with(&head);
        if !is_row && !head.contains(&0) {
            return Ok(Some(at));
        }
        at += head.len() as u64;
        if head.last() != Some(&b'\n') {
            at += reader.skip_until(b'\n')? as u64;
        }
    }
}

/// Prepares the run in a database to continue at its resume point.
///
/// Rows after the resume point are deleted when the run begins.
///
/// # Errors
/// The database does not contain the run with its rows, or another program keeps it locked.
pub(super) fn prepare_run(
    format: &DatabaseFormat,
    file: OpenFile,
    resume_point: ResumePoint,
) -> anyhow::Result<Prepared<'static>> {
    let name = file.name();
    let prepare = || {
        let ResumePoint::Run { run, last, fingerprint } = resume_point else {
            return Err(anyhow!("the journal has no resume point for it"));
        };
        let prepared = (format.resume)(&file.close(), run, last)?;
        if prepared.fingerprint()? != fingerprint {
            bail!("its run {run} is not the one in the journal: {REPLACED}");
        }
        Ok(begin::commit(prepared, name.clone()))
    };
    prepare().with_context(|| resuming(&name))
}

/// Continues the rows of a file at the resume point.
///
/// # Errors
/// The file can't be truncated or written.
pub(super) fn rows(
    format: &RowFormat,
    settings: &RowSettings,
    file: OpenFile,
    resume_point: ResumePoint,
) -> anyhow::Result<OutputSink> {
    let name = file.name();
    let resume = || -> anyhow::Result<OutputSink> {
        if matches!(resume_point, ResumePoint::Run { .. }) {
            bail!("the journal has no resume point for it");
        }
        if let Some(group) = &format.group {
            remove_leftovers(file.path(), group.beginning);
        }
        let resumed =
            (format.resume)(LineBuffer::new(Box::new(file.at_end()?)), settings, resume_point);
        Ok(OutputSink::Resumable(resumed?))
    };
    resume().with_context(|| resuming(&name))
}

fn resuming(name: &str) -> String {
    format!("resuming the output {name}")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn first_line_after_the_resume_point_that_is_no_row_is_found() {
        let foreign = |content: &[u8]| {
            let mut file = tempfile::tempfile().expect("a temporary file");
            file.write_all(content).expect("the file is written");
            foreign_line(&file, 2, "{\"schema\":1,").expect("the file is read")
        };
        let row = "{\"schema\":1,\"host\":\"10.0.0.5\"}\n";
        for ours in ["", row, &row[..20], &row[..3], &row.repeat(3), "\0\0\0\0", "\0\n\0"] {
            assert_eq!(foreign(format!("x\n{ours}").as_bytes()), None, "{ours:?}");
        }
        for other in ["a note\n", "\n", "{\n", "{\"schema\":2,}\n", "note"] {
            assert_eq!(foreign(format!("x\n{other}").as_bytes()), Some(2), "{other:?}");
            let at = 2 + row.len() as u64;
            assert_eq!(foreign(format!("x\n{row}{other}{row}").as_bytes()), Some(at), "{other:?}");
        }
    }
}
