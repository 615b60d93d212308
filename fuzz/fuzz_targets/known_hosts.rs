//! Fuzzes the reader of `known_hosts` files.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::lists::known_hosts(input));
