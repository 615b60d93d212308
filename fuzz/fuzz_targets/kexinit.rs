//! The payload of ssh's offer for the key exchange.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portmuster::fuzzing::kexinit(input));
