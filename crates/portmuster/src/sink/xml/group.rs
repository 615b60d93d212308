//! Groups the rows of a document: one `host` for each address, with all its ports.
//!
//! Programs that read nmap's files keep one `host` for each address, and one `port` for each number.
//! A document that is being written has a `host` for each row, because rows come in any order.
//! Grouping turns rows into records whose bytes sort in the order of the grouped document:
//!
//! | record | order |
//! |---|---|
//! | a skipped `target` | first, by its text |
//! | the end time of a row | of each address, the latest first |
//! | the `status` of a row | the strongest first: an open port, a closed one, an assumption |
//! | a `hostname` | by its text |
//! | a `port` | by its number, and of each number the strongest first |
//!
//! Invariant: memory is bounded, however many rows, names or ports an address has.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    net::IpAddr,
    path::Path,
};

use crate::sink::{
    interface::ResumePoint,
    resumable::invalid,
    sort::{Sorter, address_key},
};

/// The first byte of the records of skipped targets.
const TARGET: u8 = 0;

/// The byte after the address that says what a record of a host is.
const END_TIME: u8 = 0;
const STATUS: u8 = 1;
const HOST_NAME: u8 = 2;
const PORT: u8 = 3;

/// The end of a `host`.
const HOST_END: &str = "</ports></host>";

/// The least rank of a status that is no answer of the host.
const NO_ANSWER: u8 = 2;

/// Groups the rows of a finished document of an [`XmlFile`](super::XmlFile) by address.
///
/// Programs that read nmap's files expect one `host` for each address. Addresses and ports are in
/// numerical order, so that two equal runs have equal hosts. If an address has two rows for one port,
/// because two names have this address, the stronger one is kept.
///
/// `rows` is a resume point of the document. The result is the one of the grouped document.
/// Temporary files without names are created in the folder `scratch`; together they are about as long
/// as the document.
///
/// # Errors
/// The document can't be read or is not finished, the output or a temporary file can't be written, or
/// the resume point is of another format.
///
/// ```
/// # use std::time::SystemTime;
/// use portmuster::sink::{Beginning, Ending, ResumableSink, Sink, XmlFile, group_hosts};
///
/// # let now = SystemTime::now();
/// let mut rows = Vec::new();
/// let mut xml = XmlFile::begin(&mut rows, &Beginning::new(now, "an example"))?;
/// for port in [23, 22] {
///     // ...
/// #   let mut outcome = portmuster::check_a_port("127.0.0.1", 0);
/// #   outcome.target.port = port;
///     xml.write(&outcome)?;
/// }
/// let resume_point = xml.checkpoint()?;
/// xml.finish(&Ending::new(Default::default(), 0, now))?;
///
/// let mut grouped = Vec::new();
/// group_hosts(&*rows, &mut grouped, &std::env::temp_dir(), resume_point)?;
/// assert_eq!(String::from_utf8_lossy(&grouped).matches("<host ").count(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn group_hosts(
    document: impl Read,
    output: impl Write,
    scratch: &Path,
    rows: ResumePoint,
) -> io::Result<ResumePoint> {
    let ResumePoint::Xml { started, up, hosts, .. } = rows else {
        return Err(invalid("the resume point is of a format other than xml"));
    };
    let mut grouped = GroupedDocument::new(output);
    let mut rows = RowRecords { records: Sorter::new(scratch), address: None, finished: None };
    let mut document = BufReader::new(document);
    let mut line = Vec::new();
    while document.read_until(b'\n', &mut line)? > 0 {
        let text = str::from_utf8(&line).map_err(|_| unknown_line(""))?;
        let text = text.trim_matches([' ', '\n']);
        if ["<?xml ", "<!DOCTYPE ", "<nmaprun ", "<verbose "].iter().any(|it| text.starts_with(it))
        {
            grouped.write(&[text, "\n"])?;
        } else {
            rows.add_line(text)?;
        }
        line.clear();
    }
    let finished = rows.finished.ok_or_else(|| invalid("the document has no end"))?;
    rows.records.for_each(|record| grouped.add(record))?;
    let length = grouped.finish(&finished)?;
    Ok(ResumePoint::Xml { length, started, up, hosts })
}

/// Turns the lines of a document into records.
struct RowRecords {
    records: Sorter,
    /// The sort key of the current host: its family and its address.
    address: Option<Vec<u8>>,
    /// The element `finished` of the trailer.
    finished: Option<String>,
}

impl RowRecords {
    fn add_line(&mut self, line: &str) -> io::Result<()> {
        let added = if line.starts_with("<target ") {
            Some(self.records.add(&[&[TARGET], line.as_bytes()]))
        } else if let Some(host) = line.strip_prefix("<host endtime=\"") {
            self.add_host(host)
        } else if line.starts_with("<port ") {
            self.add_port(line)
        } else if let Some(rest) = line.strip_prefix("<runstats>") {
            self.finished = rest.split_once("/>").map(|(finished, _)| format!("{finished}/>"));
            Some(Ok(()))
        } else {
            ["", HOST_END, "</nmaprun>", "<?end?>"].contains(&line).then_some(Ok(()))
        };
        added.unwrap_or_else(|| Err(unknown_line(line)))
    }

    /// Adds the start of a host, and its port if that is in the same line.
    ///
    /// Values have no angle brackets and no quotes, because these are escaped.
    fn add_host(&mut self, host: &str) -> Option<io::Result<()>> {
        let (time, rest) = host.split_once("\">")?;
        let (status, rest) = rest.split_once("/>")?;
        let (address, rest) = rest.strip_prefix("<address addr=\"")?.split_once('"')?;
        let (_, rest) = rest.split_once("/>")?;
        let (names, rest) = match rest.strip_prefix("<hostnames>") {
            Some(rest) => rest.split_once("</hostnames>")?,
            None => ("", rest),
        };
        let ports = rest.strip_prefix("<ports>")?;
        let time = !time.parse::<i64>().ok()?.cast_unsigned();
        let key = address_key(address.parse().ok()?);
        let records = &mut self.records;
        let mut add = |kind, parts: [&[u8]; 2]| records.add(&[&key, &[kind], parts[0], parts[1]]);
        let mut added = add(END_TIME, [&time.to_be_bytes(), &[]]);
        added = added.and_then(|()| add(STATUS, [&[status_rank(status)], status.as_bytes()]));
        for name in names.split_inclusive("/>") {
            added = added.and_then(|()| add(HOST_NAME, [name.as_bytes(), &[]]));
        }
        self.address = Some(key);
        if ports.is_empty() || added.is_err() {
            return Some(added);
        }
        self.add_port(ports.strip_suffix(HOST_END)?)
    }

    fn add_port(&mut self, port: &str) -> Option<io::Result<()>> {
        let (_, rest) = port.split_once(" portid=\"")?;
        let number: u16 = rest.split_once('"')?.0.parse().ok()?;
        let address = self.address.as_ref()?;
        let rank = port_rank(port);
        Some(self.records.add(&[address, &[PORT], &number.to_be_bytes(), &rank, port.as_bytes()]))
    }
}

/// Returns the length of the sort key that a record begins with.
fn key_length(record: &[u8]) -> usize {
    if record[0] == 4 { 5 } else { 17 }
}

/// Ranks the status of a host: the lower, the stronger.
fn status_rank(status: &str) -> u8 {
    let has = |text| status.contains(text);
    match has("state=\"up\"") {
        true if has("reason=\"syn-ack\"") => 0,
        true if has("reason=\"user-set\"") => NO_ANSWER,
        true => 1,
        false => NO_ANSWER + 1,
    }
}

/// Length of a [`port_rank`].
const PORT_RANK: usize = 6;

/// Ranks a port: by its state, then by the confidence in its service, then by what is known of it.
fn port_rank(port: &str) -> [u8; PORT_RANK] {
    let states = ["open", "closed", "filtered"];
    let value = |key| port.split_once(key).and_then(|(_, rest)| rest.split('"').next());
    let state = value("<state state=\"").unwrap_or_default();
    let state = states.iter().position(|known| *known == state).unwrap_or(states.len());
    let confidence: u8 = value(" conf=\"").and_then(|text| text.parse().ok()).unwrap_or_default();
    let length = u32::MAX - u32::try_from(port.len()).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_be_bytes();
    [u8::try_from(state).unwrap_or(u8::MAX), u8::MAX - confidence, a, b, c, d]
}

/// Writes the records in their order as a document.
struct GroupedDocument<W: Write> {
    output: BufWriter<W>,
    written: u64,
    /// The sort key of the current host; empty before the first.
    address: Vec<u8>,
    /// The kind of the last record of the host.
    last: u8,
    port: Option<u16>,
    up: u64,
    hosts: u64,
}

impl<W: Write> GroupedDocument<W> {
    fn new(output: W) -> Self {
        let output = BufWriter::with_capacity(1 << 16, output);
        let (address, last, port) = (Vec::new(), END_TIME, None);
        Self { output, written: 0, address, last, port, up: 0, hosts: 0 }
    }

    fn write(&mut self, parts: &[&str]) -> io::Result<()> {
        for part in parts {
            self.output.write_all(part.as_bytes())?;
            self.written += part.len() as u64;
        }
        Ok(())
    }

    fn add(&mut self, record: &[u8]) -> io::Result<()> {
        if let [TARGET, target @ ..] = record {
            return self.write(&[text(target)?, "\n"]);
        }
        let (address, rest) = record.split_at(key_length(record));
        let [kind, content @ ..] = rest else { return Err(unknown_line("")) };
        if self.address != address {
            self.end_host()?;
            self.address = address.to_vec();
            self.hosts += 1;
            self.port = None;
        } else if *kind == self.last && [END_TIME, STATUS].contains(kind) {
            // A weaker one.
            return Ok(());
        }
        match *kind {
            END_TIME => self.begin_host(content)?,
            STATUS => self.write_status(content)?,
            HOST_NAME => {
                let begin = if self.last == HOST_NAME { "" } else { "<hostnames>" };
                self.write(&[begin, text(content)?])?;
            }
            _ => self.write_port(content)?,
        }
        self.last = *kind;
        Ok(())
    }

    fn begin_host(&mut self, time: &[u8]) -> io::Result<()> {
        let time = time.try_into().map_err(io::Error::other)?;
        let time = (!u64::from_be_bytes(time)).cast_signed();
        self.write(&["<host endtime=\"", &time.to_string(), "\">"])
    }

    fn write_status(&mut self, content: &[u8]) -> io::Result<()> {
        let [rank, status @ ..] = content else { return Err(unknown_line("")) };
        self.up += u64::from(*rank < NO_ANSWER);
        let (address, kind) = match *self.address {
            [4, a, b, c, d] => (IpAddr::from([a, b, c, d]), "ipv4"),
            ref key => {
                (IpAddr::from(<[u8; 16]>::try_from(&key[1..]).map_err(io::Error::other)?), "ipv6")
            }
        };
        let address = address.to_string();
        self.write(&[text(status)?, "/><address addr=\"", &address, "\" addrtype=\"", kind, "\"/>"])
    }

    fn write_port(&mut self, content: &[u8]) -> io::Result<()> {
        if self.last != PORT {
            let names_end = if self.last == HOST_NAME { "</hostnames>" } else { "" };
            self.write(&[names_end, "<ports>\n"])?;
        }
        let (number, rest) = content.split_at(2);
        let number = u16::from_be_bytes([number[0], number[1]]);
        // A second row of the port is the weaker one.
        if self.port.replace(number) != Some(number) {
            self.write(&[text(&rest[PORT_RANK..])?, "\n"])?;
        }
        Ok(())
    }

    fn end_host(&mut self) -> io::Result<()> {
        if self.address.is_empty() { Ok(()) } else { self.write(&[HOST_END, "\n"]) }
    }

    /// Writes the trailer, and returns its position.
    fn finish(mut self, finished: &str) -> io::Result<u64> {
        self.end_host()?;
        let length = self.written;
        let (up, hosts) = (self.up.to_string(), self.hosts.to_string());
        let sums = ["<hosts up=\"", &up, "\" down=\"0\" total=\"", &hosts, "\"/>"].concat();
        self.write(&["<runstats>", finished, &sums, "</runstats>\n</nmaprun>\n"])?;
        self.output.flush()?;
        Ok(length)
    }
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    str::from_utf8(bytes).map_err(io::Error::other)
}

/// Returns the error for a line that this program did not write.
fn unknown_line(line: &str) -> io::Error {
    let start: String = line.chars().take(40).collect();
    let message = format!("the document has a line that this program does not write: {start:?}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use super::{
        super::{
            XmlFile,
            tests::{beginning, count_hosts, ending, refused},
        },
        *,
    };
    use crate::{
        Host, Outcome, Target,
        outcome::{PortState, Reason},
        sink::{ResumableSink, Sink, samples},
    };

    /// Writes the outcomes as rows; returns the document and its resume point.
    fn rows(outcomes: &[Outcome]) -> (Vec<u8>, ResumePoint) {
        let mut document = Vec::new();
        let mut xml = XmlFile::begin(&mut document, &beginning()).expect("there is room");
        for outcome in outcomes {
            xml.write(outcome).expect("there is room");
            xml.flush().expect("there is room");
        }
        let point = xml.checkpoint().expect("there is room");
        xml.finish(&ending(0)).expect("there is room");
        (document, point)
    }

    fn grouped(document: &[u8], point: ResumePoint) -> (String, ResumePoint) {
        let mut grouped = Vec::new();
        let folder = tempfile::tempdir().expect("a folder can be created");
        let point = group_hosts(document, &mut grouped, folder.path(), point).expect("it is valid");
        (String::from_utf8(grouped).expect("it is ASCII"), point)
    }

    /// Returns an outcome for the endpoint, named by its address.
    fn at(endpoint: &str, outcome: Outcome) -> Outcome {
        let endpoint: SocketAddr = endpoint.parse().expect("it is an endpoint");
        let target = Target::from((Host::Address(endpoint.ip()), endpoint.port()));
        Outcome { target, endpoint: Some(endpoint), ..outcome }
    }

    /// Returns the outcome for a host that has a name as well.
    fn named(name: &str, outcome: Outcome) -> Outcome {
        let target = Target::from((Host::Name(name.into()), outcome.target.port));
        Outcome { target, ..outcome }
    }

    fn silent() -> Outcome {
        samples::not_open(PortState::Filtered, Reason::NoAnswer)
    }

    #[test]
    fn each_address_is_one_host_with_all_its_ports_in_order() {
        let outcomes = [
            at("[2001:db8::1]:22", silent()),
            at("10.0.0.10:80", silent()),
            samples::unresolved(),
            at("10.0.0.9:23", silent()),
            at("10.0.0.9:8", refused()),
            at("10.0.0.9:22", samples::everything()),
        ];
        let (document, point) = rows(&outcomes);
        let (text, grouped_point) = grouped(&document, point);
        assert_eq!(count_hosts(text.as_bytes()), 3);
        let order = [
            "<target specification=",
            "<host ",
            "<status state=\"up\" reason=\"syn-ack\"",
            "addr=\"10.0.0.9\"",
            "portid=\"8\"",
            "portid=\"22\"",
            "<script id=\"portmuster\"",
            "portid=\"23\"",
            "<host ",
            "addr=\"10.0.0.10\"",
            "portid=\"80\"",
            "<host ",
            "addr=\"2001:db8::1\"",
            "<hosts up=\"1\" down=\"0\" total=\"3\"/>",
        ];
        let mut rest = &*text;
        for part in order {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("{part} in {text}")).1;
        }
        let ResumePoint::Xml { length, hosts, .. } = grouped_point else {
            panic!("{grouped_point:?}")
        };
        let length = usize::try_from(length).expect("it is short");
        assert!(text[length..].starts_with("<runstats><finished "), "{}", &text[length..]);
        assert_eq!(hosts, 5, "outcomes, as in the document of rows");

        let mut reversed = outcomes;
        reversed.reverse();
        let (document, point) = rows(&reversed);
        assert_eq!(grouped(&document, point).0, text, "the order of rows does not matter");
        assert_eq!(grouped(text.as_bytes(), grouped_point).0, text, "it is grouped already");
    }

    #[test]
    fn names_of_one_address_are_one_host_and_the_stronger_port_is_kept() {
        let later = refused().time + Duration::from_secs(9);
        let outcomes = [
            named("b.example", at("10.0.0.9:22", silent())),
            named("a.example", at("10.0.0.9:22", samples::everything())),
            named("b.example", at("10.0.0.9:22", Outcome { time: later, ..refused() })),
            named("b.example", at("10.0.0.9:23", refused())),
        ];
        let (document, point) = rows(&outcomes);
        let (text, _) = grouped(&document, point);
        assert_eq!(count_hosts(text.as_bytes()), 1);
        let names = "<hostnames><hostname name=\"a.example\" type=\"user\"/>\
                     <hostname name=\"b.example\" type=\"user\"/></hostnames><ports>";
        assert!(text.contains(names), "{text}");
        assert_eq!(text.matches("portid=\"22\"").count(), 1);
        assert!(text.contains("portid=\"22\"><state state=\"open\""), "{text}");
        let time = super::super::time::unix_seconds(later);
        assert!(text.contains(&format!("<host endtime=\"{time}\">")), "{text}");
    }

    #[test]
    fn other_documents_are_refused() {
        let group = |document: &str, point| {
            let output = Vec::new();
            group_hosts(document.as_bytes(), output, &std::env::temp_dir(), point)
        };
        let (document, point) = rows(&[refused()]);
        let document = String::from_utf8(document).expect("it is ASCII");
        group(&document, point).expect("it is a document of this program");
        let cut = document.split_once("<runstats>").expect("it has a trailer").0;
        for other in [cut, "", "a list\n", &document.replace("10.0.0.5", "ten")] {
            assert!(group(other, point).is_err(), "{other}");
        }
        assert!(group(&document, ResumePoint::Lines { length: 1 }).is_err());
    }
}
