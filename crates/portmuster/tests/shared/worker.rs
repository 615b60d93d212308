//! Test programs that also serve as their own worker program.

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};
use portmuster::{Checker, config::ConfigBuilder, worker_main, workers::Program};

/// Turns functions into tests named after them.
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

/// Runs the tests, or a worker if this process was started as one.
pub(crate) fn main(trials: Vec<Trial>) -> ExitCode {
    if env::args().nth(1).as_deref() == Some("worker") {
        return worker_main();
    }
    // Tests run sequentially, because they inspect the children of this process and some kill them.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Returns a checker that uses this program as its worker program.
pub(crate) fn checker(settings: ConfigBuilder) -> Checker {
    let program = Program::this().expect("it runs").arg("worker");
    let config = settings.build().expect("the settings are valid");
    Checker::new(config).with_workers(program)
}
