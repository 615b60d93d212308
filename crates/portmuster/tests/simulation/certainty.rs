//! The bound on what was missed, compared with what was missed.

use std::{
    collections::BTreeMap,
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
    time::Duration,
};

use fastrand::Rng;
use portmuster::{
    Config, Target,
    config::{MaxMissed, Patience, Probing},
    outcome::Reason,
    simulator::{
        Bursts, Endpoint, Network, ServerBehaviour, Simulation, Simulator, draw, simulate,
    },
};

use super::{ms, run_seeds, seeds};

/// Seeds to run when `PORTMUSTER_SEED` is unset.
const ALL_SEEDS: Range<u64> = 0..1_000;

/// How many SYNs a hidden endpoint ignores. Two attempts of 3.2 s send so many, and one of 10 s sends 6,
/// so all passes miss it and one more attempt would find it.
const IGNORED_SYNS: u32 = 8;

/// The first address.
const FIRST: u32 = 0x0A00_0000;

/// How a run is divided into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Division {
    OneBlock,
    SeveralBlocks,
    Stream,
}

/// What the endpoints of a seed are.
#[derive(Debug, Clone)]
struct World {
    seed: u64,
    targets: u32,
    /// The share of endpoints that answer.
    alive: f64,
    /// The share of the others that are refused by ICMP.
    refused: f64,
    /// The share of the rest that would answer after all passes.
    hidden: f64,
    /// The part of the addresses in which these are.
    hidden_within: Range<u32>,
}

/// The kinds of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Alive,
    Refused,
    Hidden,
    Silent,
}

/// A seed's run and its settings.
#[derive(Debug)]
struct Case {
    world: World,
    config: Config,
    network: Network,
    division: Division,
    /// Whether the order of the targets is not that of their addresses.
    is_shuffled: bool,
    block_targets: u64,
    /// Whether a firewall blocks this machine while the passes go on.
    is_blocked: bool,
}

/// How a seed's run has ended.
#[derive(Debug)]
struct Ending {
    seed: u64,
    division: Division,
    is_blocked: bool,
    /// How many targets the run has missed: they would answer one more attempt.
    missed: u64,
    /// The stated bound.
    bound: Option<u64>,
    /// Whether the bound should be within the wanted share, as none are hidden, and is not.
    is_too_wide: bool,
}

impl World {
    fn kind(&self, endpoint: SocketAddr) -> Kind {
        let IpAddr::V4(address) = endpoint.ip() else { return Kind::Silent };
        let index = address.to_bits() - FIRST;
        let [first, second, third] =
            [1, 2, 3].map(|use_of| draw(self.seed.wrapping_mul(8) + use_of, endpoint));
        if first < self.alive {
            return Kind::Alive;
        }
        if second < self.refused {
            return Kind::Refused;
        }
        let part =
            f64::from(self.targets) / f64::from(self.hidden_within.end - self.hidden_within.start);
        if self.hidden_within.contains(&index) && third < self.hidden * part {
            return Kind::Hidden;
        }
        Kind::Silent
    }

    fn endpoint(&self, endpoint: SocketAddr) -> Endpoint {
        let answers = match draw(self.seed, endpoint) {
            low if low < 0.5 => ServerBehaviour::greets(b"SSH-2.0-x\r\n"),
            high => ServerBehaviour::Refuses { after: Duration::from_secs_f64(high / 10.0) },
        };
        match self.kind(endpoint) {
            Kind::Alive => answers.into(),
            Kind::Refused => ServerBehaviour::Unreachable { after: ms(40) }.into(),
            Kind::Hidden => Endpoint { behaviour: answers, ignored_syns: IGNORED_SYNS },
            Kind::Silent => ServerBehaviour::Silent.into(),
        }
    }

    /// Returns all endpoints, in the order of their addresses.
    fn endpoints(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        (0..self.targets).map(|index| (Ipv4Addr::from_bits(FIRST + index), 22).into())
    }
}

/// Chooses a number whose logarithm is uniformly distributed.
fn log_uniform(rng: &mut Rng, range: Range<f64>) -> f64 {
    (range.start.ln() + rng.f64() * (range.end.ln() - range.start.ln())).exp()
}

/// Chooses how many targets a seed has: a few hundred or thousand, and once in 500 seeds 100,000.
fn target_count(seed: u64, rng: &mut Rng) -> u32 {
    if seed % 500 == 10 {
        return 100_000;
    }
    let most = 300 << rng.u32(1..5);
    rng.u32(most / 2..most)
}

/// Returns the case of a seed. Of the even seeds, all have hidden endpoints.
fn case(seed: u64) -> Case {
    let mut rng = Rng::with_seed(seed);
    let targets = target_count(seed, &mut rng);
    let tail = targets - targets / 8..targets;
    let world = World {
        seed,
        targets,
        alive: log_uniform(&mut rng, 0.02..0.2),
        refused: if rng.u8(0..4) == 0 { 0.2 } else { 0.0 },
        hidden: if seed.is_multiple_of(2) { log_uniform(&mut rng, 0.0002..0.01) } else { 0.0 },
        hidden_within: if rng.bool() { 0..targets } else { tail },
    };
    let is_blocked = matches!(seed % 16, 3 | 10);
    let rule = world.clone();
    let mut network = Network::new(seed)
        .rule(move |endpoint| Some(rule.endpoint(endpoint)))
        .round_trip(ms(rng.u64(0..300)))
        .jitter(ms(rng.u64(0..100)))
        .loss([0.0, 0.02, 0.1][rng.usize(0..3)]);
    if rng.u8(0..4) == 0 {
        let interval = ms(rng.u64(5_000..20_000));
        network = network.bursts(Bursts { interval, length: Duration::from_secs(1) });
    }
    if is_blocked {
        // The passes send eight SYNs to each silent target, and at least 64 % of the targets are silent.
        network = network.block_after_syns(u64::from(targets) * rng.u64(1..6));
    }
    let division = [Division::OneBlock, Division::SeveralBlocks, Division::Stream][rng.usize(0..3)];
    let is_shuffled = division != Division::Stream && rng.bool();
    let rate = if division == Division::Stream { targets / 180 + 1 } else { rng.u32(100..10_000) };
    let parts_per_million = [1_000, 5_000, 20_000][rng.usize(0..3)];
    let settings = Config::builder()
        .patience(Patience::Adaptive)
        .probing(Probing::ConnectOnly)
        .max_missed(MaxMissed::from_parts_per_million(parts_per_million))
        .seed(rng.u64(..))
        .rate(rate);
    Case {
        config: settings.build().expect("the settings are valid"),
        block_targets: match division {
            Division::SeveralBlocks => u64::from(targets) / rng.u64(2..7) + 1,
            _ => u64::from(targets) + 1,
        },
        is_shuffled,
        world,
        network,
        division,
        is_blocked,
    }
}

fn run(case: &Case) -> Simulation {
    let simulator = Simulator::new(&case.config, &case.network).block_targets(case.block_targets);
    let mut endpoints: Vec<_> = case.world.endpoints().collect();
    if case.is_shuffled {
        Rng::with_seed(case.world.seed ^ 1).shuffle(&mut endpoints);
    }
    let targets = endpoints.into_iter().map(Target::from);
    match case.division {
        // A filter does not know how many it will return.
        Division::Stream => simulator.run(targets.filter(|_| true)),
        Division::OneBlock | Division::SeveralBlocks => simulator.run(targets),
    }
}

fn ending(seed: u64) -> Ending {
    let case = case(seed);
    let run = run(&case);
    assert_eq!(run.outcomes.len() as u64, u64::from(case.world.targets), "seed {seed}");
    let silent = run.outcomes.iter().filter(|it| it.verdict.reason == Reason::NoAnswer);
    let kinds = silent.map(|it| case.world.kind(it.endpoint.expect("it is an address")));
    let missed = kinds.filter(|kind| matches!(kind, Kind::Alive | Kind::Hidden)).count() as u64;
    let certainty = run.certainty.expect("it is estimated");
    let wanted = case.config.max_missed().map_or(0.0, MaxMissed::share);
    let bound = certainty.missed_max();
    let knows_length = case.division != Division::Stream;
    Ending {
        seed,
        division: case.division,
        is_blocked: case.is_blocked,
        missed,
        bound,
        is_too_wide: case.world.hidden == 0.0
            && !certainty.is_blocked()
            && knows_length
            && certainty.missed_share().is_none_or(|share| share > wanted),
    }
}

/// Returns the seeds of these endings.
fn seeds_of<'a>(endings: impl IntoIterator<Item = &'a Ending>) -> Vec<u64> {
    endings.into_iter().map(|ending| ending.seed).collect()
}

#[test]
fn stated_bound_covers_what_was_missed() {
    let endings = run_seeds(seeds(ALL_SEEDS), ending);
    let mut stdout = std::io::stdout().lock();
    let mut by_division: BTreeMap<_, [usize; 4]> = BTreeMap::new();
    for ending in &endings {
        let [runs, missed, stated, covered] = by_division.entry(ending.division).or_default();
        *runs += 1;
        *missed += usize::from(ending.missed > 0);
        *stated += usize::from(ending.bound.is_some());
        *covered += usize::from(ending.bound.is_some_and(|bound| bound >= ending.missed));
    }
    for (division, [runs, missed, stated, covered]) in by_division {
        let line = format!(
            "{division:?}: {runs} runs, {missed} missed targets, {stated} stated a bound, {covered} of these cover"
        );
        writeln!(stdout, "{line}").expect("stdout is writable");
    }
    let stated: Vec<_> = endings.iter().filter(|ending| ending.bound.is_some()).collect();
    let wrong = stated.iter().filter(|it| it.bound.is_some_and(|bound| bound < it.missed));
    let wrong = seeds_of(wrong.copied());
    writeln!(stdout, "of {} stated bounds these are too low, seeds {wrong:?}", stated.len())
        .expect("stdout is writable");
    let blind = seeds_of(stated.iter().copied().filter(|ending| ending.is_blocked));
    assert_eq!(blind, [0; 0], "a bound is stated although a firewall blocks");
    let wide = seeds_of(endings.iter().filter(|ending| ending.is_too_wide));
    assert_eq!(wide, [0; 0], "the bound is wider than asked for although nothing is hidden");
    assert!(wrong.len() * 20 <= stated.len(), "the bound is too low for seeds {wrong:?}");
}

/// Returns a small world with hidden endpoints, and settings that ask a part of the silent ones again.
fn small_world() -> (World, Config) {
    let targets = 3_000;
    let world = World {
        seed: 5,
        targets,
        alive: 0.05,
        refused: 0.0,
        hidden: 0.01,
        hidden_within: 0..targets,
    };
    let settings = Config::builder()
        .patience(Patience::Adaptive)
        .probing(Probing::ConnectOnly)
        .max_missed(MaxMissed::from_parts_per_million(5_000))
        .seed(5);
    (world, settings.build().expect("the settings are valid"))
}

fn small_network(world: &World) -> Network {
    let world = world.clone();
    Network::new(5).rule(move |endpoint| Some(world.endpoint(endpoint)))
}

/// A firewall that begins to block at any moment of a look makes all answers to it doubtful.
#[test]
fn firewall_that_blocks_during_a_look_is_noticed() {
    let (world, config) = small_world();
    let hidden = world.endpoints().filter(|&it| world.kind(it) == Kind::Hidden).count() as u64;
    let mut stated = 0;
    for syns in (22_500..50_500).step_by(400) {
        let network = small_network(&world).block_after_syns(syns);
        let run = simulate(&config, &network, world.endpoints().map(Target::from));
        let certainty = run.certainty.expect("it is estimated");
        let missed = hidden - certainty.silent.answered;
        let bound = certainty.missed_max();
        assert!(bound.is_none_or(|bound| bound >= missed), "{syns} SYNs: {missed} {certainty:?}");
        stated += usize::from(bound.is_some());
    }
    assert!((1..60).contains(&stated), "the range does not span all looks: {stated}");
}

/// A run that is stopped states no bound on targets that it has not measured.
#[test]
fn bound_of_a_stopped_run_covers_what_was_missed() {
    let (world, config) = small_world();
    let network = small_network(&world);
    let targets = || world.endpoints().map(Target::from);
    let whole = simulate(&config, &network, targets()).elapsed;
    let step = ms(100);
    let times = (1..).map(|number| step * number).take_while(|&time| time < whole + step);
    let mut stated = 0;
    for time in times {
        let run = Simulator::new(&config, &network).stop_after(time).run(targets());
        let silent = run.outcomes.iter().filter(|it| it.verdict.reason == Reason::NoAnswer);
        let kinds = silent.map(|it| world.kind(it.endpoint.expect("it is an address")));
        let missed = kinds.filter(|&kind| kind == Kind::Hidden).count() as u64;
        let certainty = run.certainty.expect("it is estimated");
        let bound = certainty.missed_max();
        assert!(bound.is_none_or(|bound| bound >= missed), "{time:?}: {missed} {certainty:?}");
        stated += usize::from(bound.is_some());
    }
    assert!(stated > 0, "the last time is after the end of the run");
}
