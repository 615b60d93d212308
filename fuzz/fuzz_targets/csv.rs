//! Fuzzes the reader of CSV tables.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::lists::csv(input));
