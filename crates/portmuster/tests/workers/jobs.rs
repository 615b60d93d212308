//! Jobs that the test workers run.

use std::{
    fs::File,
    path::Path,
    process::ExitCode,
    sync::LazyLock,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use portmuster::workers::serve;

#[expect(clippy::disallowed_methods, reason = "it is the time that a job takes")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Where an item was done, and how long it took there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The process id of the worker.
    pub(crate) worker: u32,
    pub(crate) time: Duration,
}

impl Done {
    #[expect(clippy::disallowed_methods, reason = "it measures the time that an item takes")]
    fn measured(work: impl FnOnce()) -> Self {
        let start = Instant::now();
        work();
        Self { worker: std::process::id(), time: start.elapsed() }
    }
}

/// Runs the job with this name.
pub(crate) fn serve_job(name: &str, folder: Option<String>) -> ExitCode {
    match name {
        "square" => serve(square),
        "length" => serve(|text: String| text.len()),
        "repeat" => serve(|length: usize| "x".repeat(length)),
        "second" => serve(|_: u64| pause(Duration::from_secs(1))),
        "for-ever" => serve(|_: u64| pause(Duration::from_hours(1))),
        "slow" => {
            let folder = folder.expect("a folder is given");
            let slow = LazyLock::new(move || is_first(Path::new(&folder)));
            serve(move |_: u64| {
                let pause = if *slow { 20 } else { 2 };
                Done::measured(|| self::pause(Duration::from_millis(pause)))
            })
        }
        _ => ExitCode::from(9),
    }
}

fn square(work: u64) -> u64 {
    match work {
        u64::MAX => std::process::abort(),
        work => work.checked_mul(work).expect("the square fits in 64 bits"),
    }
}

/// Returns true for the first process that calls it with this folder.
pub(crate) fn is_first(folder: &Path) -> bool {
    File::create_new(folder.join("first")).is_ok()
}
