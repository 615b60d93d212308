//! Fuzzes the reader of `nmap -oX` output.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::lists::nmap_xml(input));
