//! What the workers of these tests do.

use std::{fs::File, path::Path, process::ExitCode, sync::LazyLock, time::Duration};

use portmuster::workers::serve;

#[expect(clippy::disallowed_methods, reason = "it is the time that a job takes")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Does the job of this name.
pub(crate) fn serve_job(name: &str, memory: Option<String>) -> ExitCode {
    match name {
        "square" => serve(square),
        "length" => serve(|text: String| text.len()),
        "repeat" => serve(|length: usize| "x".repeat(length)),
        "second" => serve(|_: u64| pause(Duration::from_secs(1))),
        "for-ever" => serve(|_: u64| pause(Duration::from_hours(1))),
        "slow" => {
            let memory = memory.expect("a folder");
            let slow = LazyLock::new(move || is_first(Path::new(&memory)));
            serve(move |_: u64| {
                pause(Duration::from_millis(if *slow { 20 } else { 2 }));
                *slow
            })
        }
        _ => ExitCode::from(9),
    }
}

fn square(work: u64) -> u64 {
    match work {
        u64::MAX => std::process::abort(),
        work => work.checked_mul(work).expect("some work is more than it can do"),
    }
}

/// Whether this is the first process that asks.
pub(crate) fn is_first(memory: &Path) -> bool {
    File::create_new(memory.join("first")).is_ok()
}
