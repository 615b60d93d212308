//! Fuzzes the reader of `nmap -oG` output.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::lists::nmap_grep(input));
