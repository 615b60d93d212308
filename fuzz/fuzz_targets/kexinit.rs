//! Fuzzes the parser of ssh's `SSH_MSG_KEXINIT` payload.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::kexinit(input));
