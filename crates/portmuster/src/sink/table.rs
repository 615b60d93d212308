//! Tables for people: [`Table`] is written row by row, [`SortedTable`] and [`HostTable`] at the end.

use std::io::{self, Write};

mod hosts;
mod keyed;
mod layout;
mod order;
mod sorted;

use self::layout::Layout;
pub use self::{hosts::HostTable, layout::Paint, order::TableOrder, sorted::SortedTable};
use super::{
    first_error::StopAfterError,
    interface::{Ending, ResumableSink, ResumePoint, Sink},
    resumable::{ResumableOutput, checkpoint_lines, resume_lines},
};
use crate::outcome::Outcome;

/// Writes each outcome as one row of a table under a header. The columns have fixed widths, because
/// each row is shown before the next one is known.
#[derive(Debug)]
pub struct Table<W> {
    output: StopAfterError<W>,
    layout: Layout,
    /// `None`: the first row decides whether there is a column for labels.
    has_labels: Option<bool>,
    has_header: bool,
}

impl<W: Write> Table<W> {
    /// Creates a table. The header is written before the first row.
    pub fn new(output: W, paint: Paint) -> Self {
        Self {
            output: StopAfterError::new(output),
            layout: Layout::new(paint),
            has_labels: Some(false),
            has_header: false,
        }
    }

    /// Limits rows to the width of a terminal, in columns; `None`, the default: no limit.
    ///
    /// Greetings are shortened first, then findings, then targets, each with an ellipsis. A terminal of
    /// less than 80 columns does not show the times, and only the service of an open port.
    #[must_use]
    pub fn width(mut self, width: Option<usize>) -> Self {
        self.layout.width = width;
        self
    }

    /// Sets whether there is a column for the labels of targets; by default there is none. `None`:
    /// there is one if the first row has a label.
    #[must_use]
    pub fn labels(mut self, has_labels: Option<bool>) -> Self {
        self.layout.has_labels = has_labels == Some(true);
        Self { has_labels, ..self }
    }

    /// Adds a column for host keys, if they fit the terminal. By default there is none.
    ///
    /// A table without a limit shows whole fingerprints.
    #[must_use]
    pub fn host_keys(mut self, has_host_keys: bool) -> Self {
        self.layout.has_host_keys = has_host_keys;
        self
    }

    /// Returns the output, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        self.output.get_ref()
    }

    fn write_header(&mut self, first: &Outcome) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        if self.has_labels.is_none() {
            self.layout.has_labels = first.target.label.is_some();
        }
        writeln!(self.output, "{}", self.layout.header())
    }
}

impl<W: ResumableOutput> Table<W> {
    /// Resumes a table from the resume point, and removes later rows.
    ///
    /// # Errors
    /// The output could not be truncated, it is shorter than at the resume point, or the resume
    /// point is of another format.
    pub fn resume(mut output: W, paint: Paint, resume_point: ResumePoint) -> io::Result<Self> {
        let has_header = resume_lines(&mut output, resume_point)? > 0;
        Ok(Self { has_header, ..Self::new(output, paint) })
    }
}

impl<W: Write> Sink for Table<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.write_header(outcome)?;
        writeln!(self.output, "{}", self.layout.row(outcome))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: ResumableOutput> ResumableSink for Table<W> {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.output.attempt(checkpoint_lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{Account, HostKeyFailure, HostKeys, PortState, Reason, Service},
        sink::{fit::columns, samples},
        targets::{Host, Target},
    };

    /// Returns an ssh server with many findings that is named so.
    fn weak(host: Host, port: u16) -> Outcome {
        Outcome { target: Target { host, port, label: None }, ..samples::everything() }
    }

    fn lines(outcomes: &[Outcome], width: Option<usize>, labels: Option<bool>) -> Vec<String> {
        let mut output = Vec::new();
        let mut table = Table::new(&mut output, Paint::Plain).width(width).labels(labels);
        write_all(&mut table, outcomes);
        split(output)
    }

    fn sorted(outcomes: &[Outcome], order: TableOrder) -> Vec<String> {
        let mut output = Vec::new();
        let scratch = std::env::temp_dir();
        let mut table = SortedTable::new(&mut output, Paint::Plain, order, &scratch);
        write_all(&mut table, outcomes);
        let first_word =
            |line: String| line.split(' ').next().map(str::to_owned).unwrap_or_default();
        split(output).into_iter().skip(1).map(first_word).collect()
    }

    fn hosts(outcomes: &[Outcome], width: Option<usize>, has_labels: bool) -> Vec<String> {
        let mut output = Vec::new();
        let table = HostTable::new(&mut output, Paint::Plain, &std::env::temp_dir());
        write_all(&mut table.width(width).labels(has_labels), outcomes);
        split(output)
    }

    fn write_all(sink: &mut dyn Sink, outcomes: &[Outcome]) {
        for outcome in outcomes {
            sink.write(outcome).expect("vectors accept any write");
        }
        let ending = Ending::new(Account::default(), 0, std::time::UNIX_EPOCH);
        sink.finish(&ending).expect("vectors accept any write");
    }

    fn split(output: Vec<u8>) -> Vec<String> {
        let text = String::from_utf8(output).expect("tables are UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// Returns an outcome for an endpoint, named by its address.
    fn at(endpoint: &str, outcome: Outcome) -> Outcome {
        let endpoint: std::net::SocketAddr = endpoint.parse().expect("it is an endpoint");
        Outcome { target: Target::from(endpoint), endpoint: Some(endpoint), ..outcome }
    }

    fn silent() -> Outcome {
        samples::not_open(PortState::Filtered, Reason::NoAnswer)
    }

    fn telnet() -> Outcome {
        let mut outcome = samples::open(b"login: ", None);
        outcome.verdict.service = Some(Service::Telnet);
        outcome
    }

    #[test]
    fn rows_fit_the_terminal() {
        let name = "a-very-long-name.of-a-host.in-the-domain.of-a-company.example.com";
        let v6 = "2001:db8:1234:5678:9abc:def0:1234:5678".parse().expect("an address");
        let v4 = "192.168.100.200".parse().expect("an address");
        let mut outcomes = vec![
            weak(Host::Address(v4), 65_535),
            weak(Host::Address(v6), 65_535),
            weak(Host::Name(name.into()), 65_535),
            weak(Host::Name("日本語.example".into()), 22),
            samples::binary(),
            samples::no_utf8(),
            samples::open(&[b'x'; 500], None),
            samples::not_open(PortState::Filtered, Reason::NoAnswer),
            samples::unresolved(),
        ];
        for width in 50..300 {
            let labelled: Vec<_> = outcomes
                .iter()
                .map(|it| Outcome {
                    target: it.target.clone().with_label("a long label 日本"),
                    ..it.clone()
                })
                .collect();
            for tables in [
                lines(&labelled, Some(width), None),
                hosts(&labelled, Some(width), true),
                hosts(&outcomes, Some(width), false),
            ] {
                for line in tables {
                    assert!(columns(&line) <= width, "{width}: {line}");
                }
            }
            let lines = lines(&outcomes, Some(width), None);
            assert_eq!(lines.len(), outcomes.len() + 1);
            for line in &lines {
                assert!(columns(line) <= width, "{width}: {line}");
            }
            if width >= 60 {
                // The address of IPv6 is whole, and the port of the name is shown.
                assert!(lines[2].starts_with(&format!("[{v6}]:65535 ")), "{}", lines[2]);
                assert!(lines[1..4].iter().all(|line| line.contains(":65535 ")), "{lines:?}");
            }
        }
        outcomes.truncate(1);
        let whole = lines(&outcomes, None, None);
        assert!(!whole[1].contains('…') && whole[1].contains("[3des, md5]"), "{}", whole[1]);
        let wide = &lines(&outcomes, Some(500), None)[1];
        assert!(wide.ends_with("[3des, md5]"), "{wide}");
        assert!(wide.contains("  netkit, OpenSSH 7.4, Debian 9…  SSH-2.0-"), "{wide}");
    }

    #[test]
    fn host_keys_have_a_column_where_it_fits_and_come_before_the_software() {
        let rows = |width| {
            let mut output = Vec::new();
            let table = Table::new(&mut output, Paint::Plain).width(width);
            write_all(&mut table.host_keys(true), &[samples::everything(), silent()]);
            split(output)
        };
        let whole = rows(None);
        assert!(whole[0].contains("HOST KEY") && !whole[0].contains("SOFTWARE"), "{}", whole[0]);
        let fingerprint = samples::plain_key().fingerprint();
        let key = format!("  ed25519 {} +1 ", fingerprint.trim_start_matches("SHA256:"));
        assert!(whole[1].contains(&key), "{}", whole[1]);
        for (width, has_key, has_software) in
            [(80, false, false), (119, false, false), (120, true, false), (146, true, true)]
        {
            let rows = rows(Some(width));
            let header = &rows[0];
            assert_eq!(header.contains("HOST KEY"), has_key, "{width}: {header}");
            assert_eq!(header.contains("SOFTWARE"), has_software, "{width}: {header}");
            assert_eq!(rows[1].contains("  ed25519 WlpaWlpaWlpa"), has_key, "{width}: {}", rows[1]);
            assert!(rows.iter().all(|row| columns(row) <= width), "{width}: {rows:?}");
        }
    }

    #[test]
    fn reason_takes_the_place_of_a_host_key_that_is_missing() {
        let mut outcome = samples::everything();
        let details = outcome.verdict.details.as_mut().expect("it has details");
        details.host_keys =
            HostKeys { missing: Some(HostKeyFailure::NoMethod), ..HostKeys::default() };
        let mut output = Vec::new();
        write_all(&mut Table::new(&mut output, Paint::Plain).host_keys(true), &[outcome]);
        assert!(split(output)[1].contains("  none: no-method  "));
    }

    #[test]
    fn labels_have_a_column_if_there_are_any() {
        let labelled = Outcome {
            target: Target::new("10.0.0.5", 22).with_label("rack 4"),
            ..samples::everything()
        };
        let plain = at("10.0.0.6:22", silent());
        let header = |outcomes: &[Outcome], labels| lines(outcomes, None, labels)[0].clone();
        assert!(header(&[labelled.clone(), plain.clone()], None).contains("LABEL"));
        assert!(!header(&[plain.clone(), labelled.clone()], None).contains("LABEL"));
        assert!(header(std::slice::from_ref(&plain), Some(true)).contains("LABEL"));
        assert!(!header(std::slice::from_ref(&labelled), Some(false)).contains("LABEL"));
        let rows = lines(&[labelled.clone(), plain], None, Some(true));
        let (column, state) = (rows[0].find("LABEL"), rows[0].find("STATE"));
        assert_eq!((rows[1].find("rack 4"), rows[1].find("open")), (column, state));
        assert_eq!(rows[2].find("filtered"), state);
        let narrow = lines(std::slice::from_ref(&labelled), Some(60), None);
        assert!(narrow[0].starts_with("TARGET                LABEL      RESULT"), "{narrow:?}");
        for width in 60..200 {
            let rows = lines(std::slice::from_ref(&labelled), Some(width), None);
            assert!(rows[1].ends_with(']') && rows[0].contains("GREETING"), "{width}: {rows:?}");
        }
    }

    #[test]
    fn sorted_rows_come_in_their_order() {
        let name = Outcome { target: Target::new("b.example", 22), ..samples::unresolved() };
        let outcomes = [
            name,
            at("[2001:db8::1]:22", silent()),
            at("10.0.0.10:22", samples::everything()),
            at("10.0.0.9:2222", silent()),
            at("10.0.0.9:23", telnet()),
            at("10.0.0.9:23", telnet()),
        ];
        assert_eq!(
            sorted(&outcomes, TableOrder::Host),
            [
                "10.0.0.9:23",
                "10.0.0.9:23",
                "10.0.0.9:2222",
                "10.0.0.10:22",
                "[2001:db8::1]:22",
                "b.example:22"
            ]
        );
        let by_service = sorted(&outcomes, TableOrder::Service);
        assert_eq!(by_service[1..4], ["10.0.0.9:23", "10.0.0.10:22", "10.0.0.9:2222"]);
        let by_findings = sorted(&outcomes, TableOrder::Findings);
        assert_eq!(by_findings[..2], ["10.0.0.10:22", "10.0.0.9:23"]);
        assert!(sorted(&[], TableOrder::Host).is_empty(), "no row, no header");
    }

    #[test]
    fn each_host_is_one_row_with_all_its_ports() {
        let outcomes = [
            at("10.0.0.10:23", silent()),
            at("10.0.0.9:2222", samples::everything()),
            at("10.0.0.9:23", telnet()),
            Outcome { target: Target::new("b.example", 22), ..samples::unresolved() },
        ];
        let whole = hosts(&outcomes, None, false);
        assert_eq!(whole[0], "HOST             PORTS");
        assert!(whole[1].starts_with("10.0.0.9         23 telnet, 2222 ssh "), "{}", whole[1]);
        assert!(whole[1].ends_with(" [2 weak]"), "{}", whole[1]);
        assert_eq!(whole[2], "10.0.0.10        23 filtered");
        assert_eq!(whole[3], "b.example        22 unresolved");
        assert_eq!(hosts(&outcomes, Some(40), false)[1], "10.0.0.9         23 telnet, 1 more");
        assert_eq!(hosts(&outcomes, Some(25), false)[1], "10.0.0.9         2 ports");
        let narrow = hosts(&outcomes[1..2], Some(40), false);
        assert_eq!(narrow[1], "10.0.0.9         2222 ssh OpenSSH_7.4 […");
        let labelled = Outcome {
            target: Target::new("10.0.0.5", 22).with_label("rack 4"),
            ..samples::everything()
        };
        let unlabelled = at("10.0.0.5:21", silent());
        let row = &hosts(&[labelled, unlabelled], None, true)[1];
        assert!(row.starts_with("10.0.0.5         rack 4           21 filtered, 22 ssh"), "{row}");
    }
}
