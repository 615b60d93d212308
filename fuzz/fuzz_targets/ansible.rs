//! Fuzzes the reader of Ansible inventories.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::lists::ansible(input));
