//! A program of someone who has only the packages. `cargo xtask package` builds and runs it.

use std::{error::Error, fs::File, io::BufWriter};

use portmuster::{
    Checker, Config, Outcome, TargetSet,
    config::ConfigErrorKind,
    sink::{Jsonl, Sink},
};

/// Writes JSON lines to a file, in fewer than ten lines.
fn write_rows(path: &str) -> Result<(), Box<dyn Error>> {
    let mut sink = Jsonl::new(BufWriter::new(File::create(path)?));
    for outcome in portmuster::check_ports([("127.0.0.1", 1), ("127.0.0.2", 1)]) {
        sink.write(&outcome)?;
    }
    Ok(sink.flush()?)
}

/// Checks a network in one expression.
fn open_ports(network: &str) -> Result<usize, Box<dyn Error>> {
    let checker = Checker::new(Config::default());
    Ok(checker.check(network.parse::<TargetSet>()?)?.filter(Outcome::is_open).count())
}

/// Decides by the kind of an error, not by its text.
fn is_zero_refused() -> bool {
    let built = Config::builder().in_flight(0).build();
    built.is_err_and(|error| matches!(error.kind(), ConfigErrorKind::Zero))
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: dependent FILE")?;
    write_rows(&path)?;
    assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 2);
    assert_eq!(open_ports("127.0.0.8/30:1")?, 0);
    assert!(is_zero_refused());
    println!("passed");
    Ok(())
}
