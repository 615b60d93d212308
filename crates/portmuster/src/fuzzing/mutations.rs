//! Runs the fuzz targets on a fixed number of mutated inputs, the same ones each time.
//!
//! The seeds are the transcripts and the samples of lists. A mutation changes, repeats, removes or
//! mixes bytes of them. One test writes the seeds as a corpus for a fuzzer, to the folder that
//! `PORTMUSTER_CORPUS` names or else to a temporary one.

use std::{env, fs, path::PathBuf};

use fastrand::Rng;
use tempfile::TempDir;

use super::lists::LIST_TARGETS;
use crate::probe::{samples, transcripts};

/// Mutated inputs for each target that reads a server's bytes.
const ROUNDS: usize = 4_000;
/// Mutated inputs for each target that reads lists. Each input is read several times.
const LIST_ROUNDS: usize = 500;
/// The maximum number of mutations of one input.
const MUTATIONS_MAX: usize = 8;
/// The maximum number of bytes of an input.
const LENGTH_MAX: usize = 100_000;

/// Byte sequences with a meaning in ssh, telnet or terminal output.
const FRAGMENTS: [&[u8]; 16] = [
    b"\xff",
    b"\xff\xff",
    b"\xff\xfa",
    b"\xff\xf0",
    b"\xff\xfb\x01",
    b"\xff\xfc\x01",
    b"\xff\xfd\x18",
    b"\0",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\0\0\x10\0\x04\x14",
    b"\0\0\0\x0c\x04\x02",
    b"SSH-2.0-",
    b"\r\n",
    b"\x1b]0;x",
    b"login: ",
];

/// Byte sequences with a meaning in a format of lists.
const LIST_FRAGMENTS: [&[u8]; 28] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\"",
    b"'",
    b",",
    b";",
    b":",
    b"#",
    b"-",
    b"[",
    b"]",
    b"[01:99]",
    b"{",
    b"}",
    b"<",
    b"/>",
    b"</host>",
    b"<host>",
    b"&lt;",
    b"=",
    b"|1|",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b"10.0.0.1",
];

/// Returns the bytes of each transcript.
fn greetings() -> Vec<Vec<u8>> {
    transcripts::all().iter().map(transcripts::Transcript::bytes).collect()
}

/// Returns the payloads of `SSH_MSG_KEXINIT` packets, whose message number is 20.
fn kexinit_payloads() -> Vec<Vec<u8>> {
    let greetings = greetings();
    let payload = |greeting: &Vec<u8>| {
        let start = greeting.windows(2).position(|two| two[1] == 20 && two[0] < 16)?;
        Some(greeting[start + 1..].to_vec())
    };
    let mut payloads: Vec<_> = greetings.iter().filter_map(payload).collect();
    payloads.push(samples::kexinit(samples::LISTS));
    payloads
}

/// Returns a seed with up to [`MUTATIONS_MAX`] mutations.
fn mutated(seeds: &[Vec<u8>], fragments: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let mut input = rng.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..rng.usize(1..=MUTATIONS_MAX) {
        mutate(&mut input, seeds, fragments, rng);
        input.truncate(LENGTH_MAX);
    }
    input
}

/// Applies one mutation to the input.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], fragments: &[&[u8]], rng: &mut Rng) {
    let start = rng.usize(0..=input.len());
    let end = rng.usize(start..=input.len());
    match rng.u8(0..8) {
        0 => input.truncate(start),
        1 => drop(input.drain(start..end)),
        2 => {
            let fragment = rng.choice(fragments).copied().unwrap_or_default();
            input.splice(start..start, fragment.iter().copied());
        }
        3 => {
            let part = input[start..end].repeat(rng.usize(1..20));
            input.splice(start..start, part);
        }
        4 => {
            let other = rng.choice(seeds).cloned().unwrap_or_default();
            input.splice(start..end, other);
        }
        5 => input.iter_mut().skip(start).take(4).for_each(|byte| *byte = rng.u8(..)),
        6 => input.iter_mut().skip(start).take(1).for_each(|byte| *byte ^= 1 << rng.u8(0..8)),
        _ => input.extend((0..rng.usize(0..2000)).map(|_| rng.u8(..))),
    }
}

/// Runs a target that reads a server's bytes on the seeds and on their mutations.
fn run(seeds: &[Vec<u8>], target: fn(&[u8])) {
    run_with(seeds, &FRAGMENTS, ROUNDS, target);
}

/// Runs a target on the seeds, and on `rounds` mutations of them.
fn run_with(seeds: &[Vec<u8>], fragments: &[&[u8]], rounds: usize, target: fn(&[u8])) {
    assert!(!seeds.is_empty());
    for seed in seeds {
        target(seed);
    }
    let mut rng = Rng::with_seed(7);
    for _ in 0..rounds {
        target(&mutated(seeds, fragments, &mut rng));
    }
}

#[test]
fn ssh_attempts_survive_mutated_transcripts() {
    run(&greetings(), super::ssh);
}

#[test]
fn telnet_attempts_survive_mutated_transcripts() {
    run(&greetings(), super::telnet);
}

#[test]
fn the_kexinit_parser_survives_mutated_payloads() {
    run(&kexinit_payloads(), super::kexinit);
}

/// Mutated inputs of key exchanges, each of which takes some milliseconds.
#[cfg(feature = "host-keys")]
const KEY_ROUNDS: usize = 500;

/// Returns replies of a server with each method and type of host key.
#[cfg(feature = "host-keys")]
fn host_key_replies() -> Vec<Vec<u8>> {
    let string = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("it is short");
        [&length.to_be_bytes()[..], bytes].concat()
    };
    let mut replies = Vec::new();
    for first in 0..60_u8 {
        let name = crate::probe::sample_offer("x", first / 3);
        let key = [string(b"ssh-ed25519"), string(&[9; 32]), name].concat();
        let public = string(&[4; 32]);
        let signature = [string(b"ssh-ed25519"), string(&[7; 64])].concat();
        let reply = [&[31][..], &string(&key), &public, &string(&signature)].concat();
        let group = [&[31][..], &string(&[0x7f; 256]), &string(&[2])].concat();
        let packets = [samples::packet(&group), samples::packet(&reply)].concat();
        replies.push([&[first][..], &packets].concat());
    }
    replies
}

#[cfg(feature = "host-keys")]
#[test]
fn key_exchanges_survive_mutated_replies() {
    run_with(&host_key_replies(), &FRAGMENTS, KEY_ROUNDS, super::host_key);
}

/// Converts samples to bytes.
fn bytes(samples: &[&str]) -> Vec<Vec<u8>> {
    samples.iter().map(|sample| sample.as_bytes().to_vec()).collect()
}

/// Runs the fuzz target of this name on its mutated samples.
fn run_list(name: &str) {
    let (_, target, samples) =
        LIST_TARGETS.into_iter().find(|(target, ..)| *target == name).expect("a known target");
    run_with(&bytes(samples), &LIST_FRAGMENTS, LIST_ROUNDS, target);
}

#[test]
fn format_detection_survives_mutated_samples() {
    run_list("auto");
}

#[test]
fn the_list_reader_survives_mutated_samples() {
    run_list("list");
}

#[test]
fn the_csv_reader_survives_mutated_samples() {
    run_list("csv");
}

#[test]
fn the_nmap_xml_reader_survives_mutated_samples() {
    run_list("nmap_xml");
}

#[test]
fn the_nmap_grep_reader_survives_mutated_samples() {
    run_list("nmap_grep");
}

#[test]
fn the_masscan_reader_survives_mutated_samples() {
    run_list("masscan");
}

#[test]
fn the_known_hosts_reader_survives_mutated_samples() {
    run_list("known_hosts");
}

#[test]
fn the_ansible_reader_survives_mutated_samples() {
    run_list("ansible");
}

#[test]
fn seeds_are_written_to_the_corpus_folder() {
    let temporary = TempDir::new().expect("a temporary folder");
    let corpus = env::var_os("PORTMUSTER_CORPUS").map_or(temporary.path().into(), PathBuf::from);
    let server_seeds =
        [("ssh", greetings()), ("telnet", greetings()), ("kexinit", kexinit_payloads())];
    let list_seeds = LIST_TARGETS.into_iter().map(|(target, _, samples)| (target, bytes(samples)));
    #[cfg(feature = "host-keys")]
    let server_seeds = server_seeds.into_iter().chain([("host_key", host_key_replies())]);
    for (target, seeds) in server_seeds.into_iter().chain(list_seeds) {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("creating a folder");
        for (nth, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("transcript-{nth:03}")), seed).expect("writing a seed");
        }
        let files = fs::read_dir(&folder).expect("reading the folder").count();
        assert!(files >= seeds.len() && files > 0, "{target} has {files}");
    }
}
