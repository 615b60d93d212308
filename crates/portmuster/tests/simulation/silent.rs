//! Silent networks: the pace, and what is found when packets are lost.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use portmuster::{
    Config, PortState, Target,
    config::{ConfigBuilder, MaxMissed, Patience, Probing},
    simulator::{Bursts, Endpoint, Network, ServerBehaviour, Simulation, Simulator, simulate},
};

use super::{ms, run_seeds, seeds};

/// The ports of the network.
const PORTS: [u16; 2] = [22, 23];

/// One address in so many has a host.
const ONE_IN: u32 = 64;

/// How many endpoints of the network are open.
const OPEN: usize = (1 << 16) / ONE_IN as usize;

/// Returns the settings that the program has by default, but for conversations, which end with the
/// greeting.
fn program_defaults() -> ConfigBuilder {
    let settings = Config::builder().patience(Patience::Adaptive).probing(Probing::Greeting);
    settings.max_missed(MaxMissed::default())
}

/// Returns what an endpoint of the network does: a host has ssh and refuses telnet; where there is no
/// host, nothing answers.
fn endpoint(endpoint: SocketAddr) -> Option<Endpoint> {
    let std::net::IpAddr::V4(address) = endpoint.ip() else { return None };
    let has_host = address.to_bits() % ONE_IN == 7;
    has_host.then(|| match endpoint.port() {
        22 => ServerBehaviour::greets(b"SSH-2.0-x\r\n").into(),
        _ => ServerBehaviour::Refuses { after: Duration::ZERO }.into(),
    })
}

/// Returns a /16 in which one address in 64 has a host.
fn network(seed: u64) -> Network {
    Network::new(seed).otherwise(ServerBehaviour::Silent).rule(endpoint).round_trip(ms(40))
}

/// Returns both ports of all addresses of a /16.
fn targets() -> Vec<Target> {
    let addresses = (0..1 << 16).map(|low: u32| Ipv4Addr::from_bits(0x0AC8_0000 | low));
    let endpoints = addresses.flat_map(|address| PORTS.map(|port| (address, port)));
    endpoints.map(|endpoint| Target::from(SocketAddr::from(endpoint))).collect()
}

fn found(run: &Simulation) -> usize {
    run.outcomes.iter().filter(|outcome| outcome.is_open()).count()
}

/// Returns how many attempts were made for targets, and not to ask again whether they answer.
fn attempts_of_passes(run: &Simulation) -> usize {
    let certainty = run.certainty.expect("it was estimated");
    let asked = certainty.silent.asked_again + certainty.refused.asked_again + certainty.controls;
    run.connect_starts.len() - usize::try_from(asked).expect("it is small")
}

#[test]
fn pace_is_the_rate_until_the_last_pass_is_done() {
    let config = program_defaults().build().expect("the settings are valid");
    let run = simulate(&config, &network(1), targets());
    assert_eq!((run.outcomes.len(), found(&run)), (2 << 16, OPEN));
    let starts = &run.connect_starts[..attempts_of_passes(&run)];
    let last = starts.last().expect("there are attempts").as_secs();
    for second in 0..last {
        let within = starts.iter().filter(|start| start.as_secs() == second).count();
        assert!((9_900..=10_100).contains(&within), "{within} starts in second {second}");
    }
    assert!(run.elapsed <= Duration::from_secs(46), "{:?}", run.elapsed);
    let certainty = run.certainty.expect("it was estimated");
    assert!(certainty.is_within(0.001) && certainty.silent.answered == 0, "{certainty:?}");
}

#[test]
fn without_a_rate_a_network_takes_two_timeouts() {
    let config = program_defaults().rate(None).build().expect("the settings are valid");
    let run = simulate(&config, &network(1), targets());
    assert_eq!(found(&run), OPEN);
    assert!(run.elapsed <= Duration::from_secs(21), "{:?}", run.elapsed);
}

/// Every open endpoint is found at 10 % loss in both directions, and in at most twice the time.
#[test]
fn everything_is_found_at_ten_percent_loss() {
    let config = program_defaults().build().expect("the settings are valid");
    let whole = simulate(&config, &network(1), targets()).elapsed;
    run_seeds(seeds(0..5), |seed| {
        let run = simulate(&config, &network(seed).loss(0.1), targets());
        assert_eq!(found(&run), OPEN, "seed {seed}");
        assert!(run.elapsed <= 2 * whole, "seed {seed}: {:?} instead of {whole:?}", run.elapsed);
        assert!(run.fault_counts["lost SYN"] > 100, "{:?}", run.fault_counts);
        assert!(run.fault_counts["lost answer"] > 100, "{:?}", run.fault_counts);
    });
}

/// The third SYN of an attempt, an answer after 5 s and bursts of loss are within what attempts wait for.
#[test]
fn late_answers_are_found() {
    let config = program_defaults().build().expect("the settings are valid");
    let third_syn = |to| endpoint(to).map(|it| Endpoint { ignored_syns: 2, ..it });
    let bursts = Bursts { interval: Duration::from_secs(7), length: Duration::from_secs(1) };
    let networks = [
        ("third SYN", network(1).rule(third_syn)),
        ("bursts", network(1).bursts(bursts)),
        ("5 s", network(1).round_trip(Duration::from_secs(5))),
    ];
    for (name, network) in networks {
        let run = simulate(&config, &network, targets());
        assert_eq!(found(&run), OPEN, "{name}");
    }
}

/// A middlebox that drops SYNs beyond 5,000 per second hides a part of the network from each pass. What
/// stays hidden is within the bound, or no bound is stated.
#[test]
fn bound_covers_what_a_middlebox_hides() {
    let config = program_defaults().build().expect("the settings are valid");
    let part = targets().into_iter().take(1 << 15);
    let run = simulate(&config, &network(1).syn_limit(5_000), part);
    let certainty = run.certainty.expect("it was estimated");
    let answered = run.account.state(PortState::Open) + run.account.state(PortState::Closed);
    // A quarter of the hosts, two ports each.
    let missed = OPEN as u64 / 2 - answered;
    let bound = certainty.missed_max();
    assert!(bound.is_none_or(|bound| bound >= missed), "{missed} {certainty:?}");
}

/// A run loses nothing, and repeats no target that is settled, however often it is killed; it still states
/// what it may have missed.
#[test]
fn killed_runs_lose_nothing() {
    let config = program_defaults().build().expect("the settings are valid");
    let targets = targets();
    run_seeds(seeds(0..5), |seed| {
        let network = network(seed);
        let simulator = Simulator::new(&config, &network).block_targets(1 << 14);
        // At different moments of passes, of looks, and directly after a start.
        let kills: Vec<_> = (0..8).map(|kill| ms(1 + (seed + 1) * 1171 * kill)).collect();
        let (mut settled, mut open) = (vec![0; targets.len()], 0);
        let run = simulator.run_killed(
            targets.len() as u64,
            |position| targets[usize::try_from(position).expect("there are few")].clone(),
            &kills,
            |outcome| {
                settled[usize::try_from(outcome.position).expect("there are few")] += 1;
                open += usize::from(outcome.is_open());
            },
        );
        assert!(settled.iter().all(|&outcomes| outcomes == 1), "seed {seed}");
        assert_eq!(open, OPEN, "seed {seed}");
        let certainty = run.certainty.expect("it was estimated");
        assert_eq!(certainty.silent.targets, (2 << 16) - 2 * OPEN as u64, "seed {seed}");
        assert!(certainty.is_within(0.001), "seed {seed}: {certainty:?}");
    });
}
