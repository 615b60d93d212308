//! Checks a network and writes one line of JSON for each target to stdout.
//!
//! ```text
//! cargo run -p portmuster --example cidr_to_jsonl [TARGETS]     # for example: 127.0.0.0/28:22,23
//! ```

use std::{env, error::Error, io, time::SystemTime};

use portmuster::{
    Checker, Config, TargetSet,
    sink::{Ending, Jsonl, Sink},
};

#[expect(clippy::disallowed_methods, reason = "an example has no clock to pass in")]
fn main() -> Result<(), Box<dyn Error>> {
    let item = env::args().nth(1).unwrap_or_else(|| "127.0.0.0/28".into());

    // A network takes the memory of one address: 10.0.0.0/8 is not expanded.
    let set: TargetSet = item.parse()?;
    let targets = set.len();

    let mut outcomes = Checker::new(Config::default()).check(set)?;
    let mut sink = Jsonl::new(io::stdout());
    for outcome in outcomes.by_ref() {
        sink.write(&outcome)?;
    }
    sink.finish(&Ending::new(outcomes.account(), targets, SystemTime::now()))?;
    Ok(())
}
