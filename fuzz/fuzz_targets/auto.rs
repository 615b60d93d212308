//! Fuzzes the detection of list formats and the readers that it selects.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::lists::auto(input));
