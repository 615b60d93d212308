//! Fuzzes attempts that ask for a host key with the reply of a server.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::host_key(input));
