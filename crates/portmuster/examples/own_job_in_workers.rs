//! Distributes a job of your own to worker processes: here, the number of steps that a number takes to
//! reach 1 by the rule of Collatz.
//!
//! A worker that crashes takes no other down, and its work goes to the others. This job crashes on
//! purpose: the number that ends three workers comes back as an error, all others with their results.
//!
//! ```text
//! cargo run -p portmuster --example own_job_in_workers
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::{env, error::Error, process::ExitCode};

use portmuster::workers::{Program, Workers, serve};

const POISON: u64 = 404;

/// The job. Its input and its result are any types that serde can serialize.
fn steps(number: u64) -> u64 {
    if number == POISON {
        std::process::abort();
    }
    let next = |&n: &u64| if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
    std::iter::successors(Some(number), |n| Some(next(n))).take_while(|&n| n != 1).count() as u64
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // The program is its own worker program: the argument decides.
    if env::args().nth(1).as_deref() == Some("worker") {
        return Ok(serve(steps));
    }
    let workers = Workers { processes: 4, ..Workers::new(Program::this()?.arg("worker")) };
    let mut longest = (0, 0);
    for (number, result) in workers.run::<u64, u64>(1..=1000)? {
        match result {
            Ok(steps) => longest = longest.max((steps, number)),
            Err(error) => println!("{number}: {error}"),
        }
    }
    println!("{} takes {} steps", longest.1, longest.0);
    Ok(ExitCode::SUCCESS)
}
