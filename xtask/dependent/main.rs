//! A program of someone who has only the packages. `cargo xtask package` builds and runs it.

use std::error::Error;

use portmuster::{
    Checker, Config, ConfigError, Outcome,
    sink::{Jsonl, Sink},
    targets::{Order, Ports, Shard, TargetSet},
};

/// Writes JSON lines to a file, in fewer than ten lines.
fn write_rows(path: &str) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    let mut sink = Jsonl::new(&mut rows);
    for outcome in Checker::new(Config::default())?.check([("127.0.0.1", 1), ("127.0.0.2", 1)])? {
        sink.write(&outcome)?;
    }
    Ok(std::fs::write(path, rows)?)
}

/// Checks a network.
fn open_ports(network: &str) -> Result<usize, Box<dyn Error>> {
    let mut set = TargetSet::default();
    set.add(network, None, &Ports::ssh_and_telnet())?;
    let targets = set.into_targets(Order::Given, Shard::WHOLE);
    Ok(Checker::new(Config::default())?.check(targets)?.filter(Outcome::is_open).count())
}

/// Decides by the kind of an error, not by its text.
fn is_zero(config: Config) -> bool {
    matches!(Checker::new(config), Err(ConfigError::Zero { .. }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: dependent FILE")?;
    write_rows(&path)?;
    assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 2);
    assert_eq!(open_ports("127.0.0.8/30:1")?, 0);
    assert!(is_zero(Config { in_flight: 0, ..Config::default() }));
    println!("passed");
    Ok(())
}
