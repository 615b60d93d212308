//! Fuzzes the reader of plain lists of targets.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::lists::list(input));
