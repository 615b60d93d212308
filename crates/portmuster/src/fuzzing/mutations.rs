//! A bounded run of the fuzz targets, the same each time: the transcripts, and what comes of them
//! when bytes are changed, doubled, dropped and mixed.
//!
//! The transcripts are also written as the seeds of each target: to the folder that
//! `PORTMUSTER_CORPUS` names, or to one that is dropped.

use std::{env, fs, path::PathBuf};

use fastrand::Rng;
use tempfile::TempDir;

use super::lists::SAMPLES;
use crate::probe::{samples, transcripts};

/// Changed inputs for each target.
const ROUNDS: usize = 4_000;
/// Changed inputs for each format of lists, each of which is read several times.
const LIST_ROUNDS: usize = 500;
/// Changes to one input, at most.
const CHANGES_MAX: usize = 8;
/// Bytes of an input, beyond which it does not grow.
const LENGTH_MAX: usize = 100_000;

/// What parsers stumble over.
const PIECES: [&[u8]; 16] = [
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

/// What readers of lists stumble over.
const LIST_PIECES: [&[u8]; 28] = [
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

fn greetings() -> Vec<Vec<u8>> {
    transcripts::all().iter().map(transcripts::Transcript::bytes).collect()
}

fn offers() -> Vec<Vec<u8>> {
    let packets = greetings();
    let behind = |greeting: &Vec<u8>| {
        let at = greeting.windows(2).position(|two| two[1] == 20 && two[0] < 16)?;
        Some(greeting[at + 1..].to_vec())
    };
    let mut offers: Vec<_> = packets.iter().filter_map(behind).collect();
    offers.push(samples::kexinit(samples::LISTS));
    offers
}

/// The input with a few changes.
fn changed(seeds: &[Vec<u8>], pieces: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let mut input = rng.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..rng.usize(1..=CHANGES_MAX) {
        change(&mut input, seeds, pieces, rng);
        input.truncate(LENGTH_MAX);
    }
    input
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], pieces: &[&[u8]], rng: &mut Rng) {
    let at = rng.usize(0..=input.len());
    let end = rng.usize(at..=input.len());
    match rng.u8(0..8) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => {
            let piece = rng.choice(pieces).copied().unwrap_or_default();
            input.splice(at..at, piece.iter().copied());
        }
        3 => {
            let part = input[at..end].repeat(rng.usize(1..20));
            input.splice(at..at, part);
        }
        4 => {
            let other = rng.choice(seeds).cloned().unwrap_or_default();
            input.splice(at..end, other);
        }
        5 => input.iter_mut().skip(at).take(4).for_each(|byte| *byte = rng.u8(..)),
        6 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.u8(0..8)),
        _ => input.extend((0..rng.usize(0..2000)).map(|_| rng.u8(..))),
    }
}

fn run(seeds: &[Vec<u8>], target: fn(&[u8])) {
    run_with(seeds, &PIECES, ROUNDS, target);
}

fn run_with(seeds: &[Vec<u8>], pieces: &[&[u8]], rounds: usize, target: fn(&[u8])) {
    assert!(!seeds.is_empty());
    for seed in seeds {
        target(seed);
    }
    let mut rng = Rng::with_seed(7);
    for _ in 0..rounds {
        target(&changed(seeds, pieces, &mut rng));
    }
}

#[test]
fn ssh_stands_what_comes_of_transcripts() {
    run(&greetings(), super::ssh);
}

#[test]
fn telnet_stands_what_comes_of_transcripts() {
    run(&greetings(), super::telnet);
}

#[test]
fn offers_stand_what_comes_of_them() {
    run(&offers(), super::kexinit);
}

fn bytes(samples: &[&str]) -> Vec<Vec<u8>> {
    samples.iter().map(|sample| sample.as_bytes().to_vec()).collect()
}

/// Runs the target of one format of lists.
fn run_list(name: &str) {
    let (_, target, samples) =
        SAMPLES.into_iter().find(|(target, ..)| *target == name).expect("it has samples");
    run_with(&bytes(samples), &LIST_PIECES, LIST_ROUNDS, target);
}

#[test]
fn detection_stands_what_comes_of_samples() {
    run_list("auto");
}

#[test]
fn lists_stand_what_comes_of_samples() {
    run_list("list");
}

#[test]
fn tables_stand_what_comes_of_samples() {
    run_list("csv");
}

#[test]
fn nmaps_xml_stands_what_comes_of_samples() {
    run_list("nmap_xml");
}

#[test]
fn nmaps_lines_stand_what_comes_of_samples() {
    run_list("nmap_grep");
}

#[test]
fn masscan_stands_what_comes_of_samples() {
    run_list("masscan");
}

#[test]
fn known_hosts_stand_what_comes_of_samples() {
    run_list("known_hosts");
}

#[test]
fn inventories_stand_what_comes_of_samples() {
    run_list("ansible");
}

#[test]
fn seeds_are_written_where_a_fuzzer_wants_them() {
    let dropped = TempDir::new().expect("there is room for a folder");
    let corpus = env::var_os("PORTMUSTER_CORPUS").map_or(dropped.path().into(), PathBuf::from);
    let of_servers = [("ssh", greetings()), ("telnet", greetings()), ("kexinit", offers())];
    let of_lists = SAMPLES.into_iter().map(|(target, _, samples)| (target, bytes(samples)));
    for (target, seeds) in of_servers.into_iter().chain(of_lists) {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("there is room for a folder");
        for (nth, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("transcript-{nth:03}")), seed).expect("there is room");
        }
        let files = fs::read_dir(&folder).expect("it was made").count();
        assert!(files >= seeds.len() && files > 0, "{target} has {files}");
    }
}
