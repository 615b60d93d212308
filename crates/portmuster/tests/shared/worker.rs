//! A test program that is its own worker program.

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};
use portmuster::{Checker, Config, worker_main, workers::Program};

/// Names functions as tests.
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        vec![$($crate::worker::trial(stringify!($test), $test)),*]
    };
}
pub(crate) use trials;

pub(crate) fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, || {
        test();
        Ok(())
    })
}

/// Runs the tests, or works when this process was started for that.
pub(crate) fn main(trials: Vec<Trial>) -> ExitCode {
    if env::args().nth(1).as_deref() == Some("worker") {
        return worker_main();
    }
    // One after the other: they look at the children of this process, and some end them.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A checker whose workers are this program.
pub(crate) fn checker(config: Config) -> Checker {
    let program = Program::this().expect("it runs").arg("worker");
    Checker::new(config).expect("settings that a run can have").with_workers(program)
}
