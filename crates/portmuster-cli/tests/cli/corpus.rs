//! Checks thousands of real banners over real sockets.
//!
//! The banners are the examples of the Recog project, which are not part of this repository. The
//! tests are skipped where the sample file is missing.

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

/// Text of two samples that are filed under telnet and are greetings of an FTP server. The bytes
/// decide, whatever the file says.
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

/// Reads the samples. Prints a note and returns `None` where the file is missing.
#[expect(clippy::print_stderr, reason = "a skipped test prints the reason")]
fn samples() -> Option<Vec<Sample>> {
    let Ok(text) = fs::read_to_string(SAMPLES) else {
        eprintln!("skipped: there are no samples at {SAMPLES}");
        return None;
    };
    let sample = |line: &str| serde_json::from_str(line).expect("a sample is an object");
    Some(text.lines().map(sample).collect())
}

/// Returns the address that serves the sample with this number.
fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("there are thousands");
    Ipv4Addr::from(0x7F70_0000 + (number / 250) * 256 + number % 250 + 1)
}

/// Serves each sample on its own loopback address, all on one port.
struct Corpus {
    port: u16,
    stop: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl Corpus {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test needs a server and a client of its own"
    )]
    fn serve(samples: Arc<Vec<Sample>>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there is a socket");
        socket.bind_device(Some(b"lo")).expect("loopback is there");
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], 0)).into()).expect("there is a port");
        socket.listen(4096).expect("it listens");
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true).expect("non-blocking mode is supported");
        let port = listener.local_addr().expect("it is bound").port();
        let signal = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let stop = TcpStream::connect(signal.local_addr().expect("it is bound"))
            .expect("the listener is bound");
        let (stopped, _) = signal.accept().expect("a client connected");
        let thread = thread::spawn(move || serve(&listener, &stopped, &samples));
        Self { port, stop, thread: Some(thread) }
    }
}

impl Drop for Corpus {
    fn drop(&mut self) {
        let _ = self.stop.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server thread does not panic");
        }
    }
}

struct Client {
    stream: TcpStream,
    /// Bytes to send after the client has sent something.
    answer: Option<Vec<u8>>,
}

fn serve(listener: &TcpListener, stopped: &TcpStream, samples: &[Sample]) {
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let events: Vec<PollFlags> = {
            let mut watched =
                vec![PollFd::new(stopped, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
            watched.extend(clients.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)));
            poll(&mut watched, None).expect("poll succeeds");
            watched.iter().map(PollFd::revents).collect()
        };
        if !events[0].is_empty() {
            return;
        }
        let mut client_events = events[2..].iter();
        clients.retain_mut(|client| {
            let is_quiet = client_events.next().is_none_or(PollFlags::is_empty);
            is_quiet || answer(client)
        });
        while let Ok((stream, _)) = listener.accept() {
            clients.extend(greet(stream, samples));
        }
    }
}

/// Sends a new client its greeting. Returns `None` when the client has already gone.
fn greet(mut stream: TcpStream, samples: &[Sample]) -> Option<Client> {
    let SocketAddr::V4(at) = stream.local_addr().ok()? else { return None };
    let offset = u32::from(*at.ip()).checked_sub(0x7F70_0000)?;
    let number = usize::try_from(offset / 256 * 250 + offset % 256 - 1).ok()?;
    let sample = samples.get(number)?;
    stream.set_nonblocking(true).ok()?;
    if sample.mode == "greet" {
        stream.write_all(&sample.bytes()).ok()?;
        return Some(Client { stream, answer: None });
    }
    Some(Client { stream, answer: Some(sample.bytes()) })
}

/// Answers a client that is ready to be read. Returns whether its connection stays open.
fn answer(client: &mut Client) -> bool {
    let mut buffer = [0; 4096];
    match client.stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(_) => client.answer.take().is_none_or(|bytes| client.stream.write_all(&bytes).is_ok()),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

/// Raises the soft descriptor limit, so that a connection to every sample can be open.
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
    run(command.args(["--first-byte=8s", "--deadline=15s"]).args(arguments).write_stdin(list))
}

#[test]
fn real_banners_get_expected_services() {
    let Some(samples) = samples() else { return };
    allow_descriptors();
    let samples = Arc::new(samples);
    let corpus = Corpus::serve(Arc::clone(&samples));
    let ended = check(&corpus, 0..samples.len(), &["--evidence"]);
    let rows = ended.rows();
    let by_host: HashMap<&str, &Row> = rows.iter().map(|row| (row.host.as_str(), row)).collect();
    let mut services: HashMap<(&str, &str), u32> = HashMap::new();
    let mut unexpected = Vec::new();
    for (number, sample) in samples.iter().enumerate() {
        let row = by_host[address(number).to_string().as_str()];
        let service = row.service.as_deref().unwrap_or("not open");
        *services.entry((&sample.class, service)).or_default() += 1;
        let is_misfiled = String::from_utf8_lossy(&sample.bytes()).contains(MISFILED);
        let is_unexpected = match (sample.class.as_str(), service) {
            ("ssh", service) => service != "ssh",
            ("telnet", "other") => !is_misfiled,
            ("telnet", _) => false,
            (_, service) => ["ssh", "telnet"].contains(&service),
        };
        if is_unexpected {
            unexpected.push(format!("{} is {service}: {:?}", sample.id, row.banner));
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    let count = |class, service| services.get(&(class, service)).copied().unwrap_or_default();
    let of_telnet = count("telnet", "telnet") + count("telnet", "telnet-likely");
    assert!(of_telnet >= 165, "{of_telnet} of 179 are telnet: {services:?}");
    let likely = count("negative", "telnet-likely");
    assert!(likely * 1000 <= 3 * 4655, "{likely} others are likely telnet: {services:?}");
}

#[test]
fn gate_certifies_no_absence_for_real_ssh_and_telnet_banners() {
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
