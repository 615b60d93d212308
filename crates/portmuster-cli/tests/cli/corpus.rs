//! Thousands of real banners through real sockets: the examples of the Recog project, which are not
//! part of this repository. Skipped where they are not beside it.

use std::{
    collections::HashMap,
    fs,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use serde::Deserialize;
use socket2::{Domain, Socket, Type};

use crate::{
    program::{Ended, program, run},
    row::Row,
};

const SAMPLES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/recog-samples.jsonl");

/// Two samples are filed under telnet and are not: a greeting of an FTP server, which is what its
/// bytes say, whoever sends them.
const MISFILED: &str = "FTP server";

#[derive(Debug, Deserialize)]
struct Sample {
    id: String,
    class: String,
    mode: String,
    b64: String,
}

impl Sample {
    fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.b64).expect("it is base64")
    }
}

/// The samples; `None` where they are not there, which is said.
#[expect(clippy::print_stderr, reason = "a test that can't run here says so")]
fn samples() -> Option<Vec<Sample>> {
    let Ok(text) = fs::read_to_string(SAMPLES) else {
        eprintln!("skipped: there are no samples at {SAMPLES}");
        return None;
    };
    let sample = |line: &str| serde_json::from_str(line).expect("a sample is an object");
    Some(text.lines().map(sample).collect())
}

/// The address at which the sample of this number is served.
fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("there are thousands");
    Ipv4Addr::from(0x7F70_0000 + (number / 250) * 256 + number % 250 + 1)
}

/// Serves each sample on an address of its own, all on one port of loopback.
struct Corpus {
    port: u16,
    stop: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl Corpus {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server and a client that are not the program's"
    )]
    fn serve(samples: Arc<Vec<Sample>>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there is a socket");
        socket.bind_device(Some(b"lo")).expect("loopback is there");
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], 0)).into()).expect("there is a port");
        socket.listen(4096).expect("it listens");
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true).expect("it can be");
        let port = listener.local_addr().expect("it is bound").port();
        let signal = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let stop = TcpStream::connect(signal.local_addr().expect("it is bound")).expect("it is up");
        let (stopped, _) = signal.accept().expect("somebody came");
        let thread = thread::spawn(move || serve(&listener, &stopped, &samples));
        Self { port, stop, thread: Some(thread) }
    }
}

impl Drop for Corpus {
    fn drop(&mut self) {
        let _ = self.stop.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ends in peace");
        }
    }
}

struct Visit {
    stream: TcpStream,
    /// What is said once the client has spoken.
    answer: Option<Vec<u8>>,
}

fn serve(listener: &TcpListener, stopped: &TcpStream, samples: &[Sample]) {
    let mut visits: Vec<Visit> = Vec::new();
    loop {
        let events: Vec<PollFlags> = {
            let mut watched =
                vec![PollFd::new(stopped, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
            watched.extend(visits.iter().map(|visit| PollFd::new(&visit.stream, PollFlags::IN)));
            poll(&mut watched, None).expect("it can be waited");
            watched.iter().map(PollFd::revents).collect()
        };
        if !events[0].is_empty() {
            return;
        }
        let mut happened = events[2..].iter();
        visits.retain_mut(|visit| {
            let is_quiet = happened.next().is_none_or(PollFlags::is_empty);
            is_quiet || listen(visit)
        });
        while let Ok((stream, _)) = listener.accept() {
            visits.extend(greet(stream, samples));
        }
    }
}

/// A client has come; `None` when it is gone before anything could be said.
fn greet(mut stream: TcpStream, samples: &[Sample]) -> Option<Visit> {
    let SocketAddr::V4(at) = stream.local_addr().ok()? else { return None };
    let place = u32::from(*at.ip()).checked_sub(0x7F70_0000)?;
    let number = usize::try_from(place / 256 * 250 + place % 256 - 1).ok()?;
    let sample = samples.get(number)?;
    stream.set_nonblocking(true).ok()?;
    if sample.mode == "greet" {
        stream.write_all(&sample.bytes()).ok()?;
        return Some(Visit { stream, answer: None });
    }
    Some(Visit { stream, answer: Some(sample.bytes()) })
}

/// The client has spoken or left; whether it stays.
fn listen(visit: &mut Visit) -> bool {
    let mut buffer = [0; 4096];
    match visit.stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(_) => visit.answer.take().is_none_or(|bytes| visit.stream.write_all(&bytes).is_ok()),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

/// As many descriptors as a connection to every sample takes.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).expect("the soft limit can be raised");
}

fn check(corpus: &Corpus, numbers: impl Iterator<Item = usize>, arguments: &[&str]) -> Ended {
    let line = |number| format!("{}:{}\n", address(number), corpus.port);
    let list: String = numbers.map(line).collect();
    let mut command = program();
    command.args(["check", "-i", "-", "-o", "jsonl", "--rate=2000", "--quiet-after=1s"]);
    run(command.args(["--first-byte=5s", "--deadline=15s"]).args(arguments).write_stdin(list))
}

#[test]
fn real_banners_are_judged_by_what_they_prove() {
    let Some(samples) = samples() else { return };
    allow_descriptors();
    let samples = Arc::new(samples);
    let corpus = Corpus::serve(Arc::clone(&samples));
    let ended = check(&corpus, 0..samples.len(), &["--evidence"]);
    let rows = ended.rows();
    let by_host: HashMap<&str, &Row> = rows.iter().map(|row| (row.host.as_str(), row)).collect();
    let mut services: HashMap<(&str, &str), u32> = HashMap::new();
    let mut surprises = Vec::new();
    for (number, sample) in samples.iter().enumerate() {
        let row = by_host[address(number).to_string().as_str()];
        let service = row.service.as_deref().unwrap_or("not open");
        *services.entry((&sample.class, service)).or_default() += 1;
        let is_misfiled = String::from_utf8_lossy(&sample.bytes()).contains(MISFILED);
        let is_surprise = match (sample.class.as_str(), service) {
            ("ssh", service) => service != "ssh",
            ("telnet", "other") => !is_misfiled,
            ("telnet", _) => false,
            (_, service) => ["ssh", "telnet"].contains(&service),
        };
        if is_surprise {
            surprises.push(format!("{} is {service}: {:?}", sample.id, row.banner));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    let count = |class, service| services.get(&(class, service)).copied().unwrap_or_default();
    let of_telnet = count("telnet", "telnet") + count("telnet", "telnet-likely");
    assert!(of_telnet >= 165, "{of_telnet} of 179 are telnet: {services:?}");
    let likely = count("negative", "telnet-likely");
    assert!(likely * 1000 <= 3 * 4655, "{likely} others are likely telnet: {services:?}");
}

#[test]
fn no_ssh_and_no_telnet_of_real_banners_is_certified_as_absent() {
    let Some(samples) = samples() else { return };
    allow_descriptors();
    let is_wanted = |sample: &Sample| {
        let is_misfiled = String::from_utf8_lossy(&sample.bytes()).contains(MISFILED);
        sample.class == "ssh" || sample.class == "telnet" && !is_misfiled
    };
    let wanted = samples.iter().enumerate().filter(|(_, sample)| is_wanted(sample));
    let numbers: Vec<_> = wanted.map(|(number, _)| number).collect();
    let corpus = Corpus::serve(Arc::new(samples));
    let all = numbers.len();
    let gate = ["--forbid=telnet,telnet-likely,ssh", "--require-verdict"];
    let ended = check(&corpus, numbers.into_iter(), &gate);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let absent = |row: &Row| row.state == "closed" || row.service.as_deref() == Some("other");
    let certified: Vec<_> = ended.rows().into_iter().filter(absent).collect();
    assert!(certified.is_empty(), "{certified:?}");
    assert_eq!(ended.rows().len(), all);
}
