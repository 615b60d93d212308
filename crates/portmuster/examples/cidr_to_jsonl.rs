//! Checks a network and writes one line of JSON for each target to stdout.
//!
//! ```text
//! cargo run --example cidr_to_jsonl [TARGETS]     # for example: 127.0.0.0/28:22,23
//! ```

use std::{env, error::Error, io, time::SystemTime};

use portmuster::{
    Checker, Config,
    sink::{Ending, Jsonl, Sink},
    targets::{Order, Ports, Shard, TargetSet},
};

#[expect(clippy::disallowed_methods, reason = "an example has no clock to pass in")]
fn main() -> Result<(), Box<dyn Error>> {
    let item = env::args().nth(1).unwrap_or_else(|| "127.0.0.0/28".into());

    // A network takes the memory of one address: 10.0.0.0/8 is not expanded.
    let mut set = TargetSet::default();
    set.add(&item, None, &Ports::ssh_and_telnet())?;
    let targets = set.len();

    let checker = Checker::new(Config::default())?;
    let mut outcomes = checker.check(set.into_targets(Order::Given, Shard::WHOLE))?;
    let mut sink = Jsonl::new(io::stdout());
    for outcome in outcomes.by_ref() {
        sink.write(&outcome)?;
    }
    let account = outcomes.account();
    sink.finish(&Ending { account, targets, time: SystemTime::now() })?;
    Ok(())
}
