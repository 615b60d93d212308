//! Fuzzes attempts with the bytes of a server that may speak ssh.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::ssh(input));
