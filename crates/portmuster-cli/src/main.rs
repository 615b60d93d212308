//! The program `portmuster`; its code is in the library of this package.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    portmuster_cli::run(env::args_os().skip(1), None).into()
}
