//! `portmuster-lab link`: runs a command behind a slow, lossy network.

use std::{
    env,
    io::{self, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitCode},
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};
use portmuster_lab::{
    Behaviour,
    link::{Bursts, Link, LinkSettings, Network, Unassigned},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) const USAGE: &str = "\
usage: portmuster-lab link [OPTIONS] -- COMMAND [ARGUMENT ...]

Runs a command in a network namespace whose only route leads over a slow, lossy
link to networks of test hosts. Counts of packets are printed on standard error
at the end. The exit status is that of the command.

Networks, each with the options that follow it:
      --network CIDR        addresses behind the link [default: 10.200.0.0/16]
      --alive 1/N           one address in N has a host, with ssh on port 22 and
                            all other ports closed [default: 1/64]
      --third-syn           each port ignores its first two SYNs
      --late DURATION       hosts answer SYNs only after this time
      --refuse              addresses without a host are refused with ICMP
                            (administratively prohibited); else they are silent

The link:
      --round-trip DURATION time from a packet to its answer [default: 0ms]
      --jitter DURATION     additional delay of each packet, at random up to this
      --loss PERCENT        packets to and from hosts that are lost, each way
      --burst EVERY,LENGTH  lose everything for LENGTH, each EVERY
      --reorder PERCENT     packets that are overtaken by later ones
      --syn-limit N         drop SYNs beyond N per second
      --block-after N|TIME  drop everything from the command after N SYNs, or
                            after a time
      --telnet PORT         run telnet on this port of all hosts
      --seed N              decides which addresses have hosts, and which packets
                            are lost [default: 1]
      --hosts               print the addresses of all hosts, and run no command
  -h, --help                print this text

DURATION is a number with ms, s or m. Root is needed, or the right to make user
namespaces; and the programs ip, nsenter and setpriv.
";

/// What the arguments ask for.
#[derive(Debug)]
enum Request {
    Run(LinkSettings, Vec<String>),
    ListHosts(LinkSettings),
    Help,
}

/// Runs the subcommand with the arguments that follow its name.
///
/// # Errors
///
/// The message and the exit status.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<ExitCode, (String, u8)> {
    match parse(arguments).map_err(|message| (message, 2))? {
        Request::Help => print(USAGE),
        Request::ListHosts(settings) => list_hosts(&settings),
        Request::Run(settings, command) => run_command(settings, &command),
    }
    .map_err(|message| (message, 1))
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut settings = LinkSettings::new(1);
    let mut networks: Vec<Network> = Vec::new();
    let mut services = vec![(22, Behaviour::Ssh)];
    let mut lists_hosts = false;
    let mut command = Vec::new();
    while let Some(argument) = arguments.next() {
        let name = argument.as_str();
        let mut value = || arguments.next().ok_or(format!("reading {name}: its value is missing"));
        match name {
            "-h" | "--help" => return Ok(Request::Help),
            "--hosts" => lists_hosts = true,
            "--" => {
                command = arguments.collect();
                break;
            }
            "--network" => networks.push(value()?.parse().map_err(|error| format!("{error}"))?),
            "--telnet" => services.push((number(name, &value()?)?, Behaviour::Telnet)),
            "--seed" => settings = settings.seed(number(name, &value()?)?),
            "--alive" | "--late" | "--third-syn" | "--refuse" => {
                let network = networks.pop().unwrap_or_else(default_network);
                networks.push(match name {
                    "--alive" => network.one_in(share(&value()?)?),
                    "--late" => network.answer_after(duration(name, &value()?)?),
                    "--third-syn" => network.ignore_syns(2),
                    _ => network.unassigned(Unassigned::Prohibited),
                });
            }
            _ => settings = link_option(settings, name, value)?,
        }
    }
    if networks.is_empty() {
        networks.push(default_network());
    }
    let settings = networks.into_iter().fold(settings, LinkSettings::network);
    let serve = |settings: LinkSettings, (port, behaviour)| settings.serve(port, behaviour);
    let settings = services.into_iter().fold(settings, serve);
    match (lists_hosts, command.is_empty()) {
        (true, _) => Ok(Request::ListHosts(settings)),
        (false, false) => Ok(Request::Run(settings, command)),
        (false, true) => Err("there is no command; try: portmuster-lab link -- sh".into()),
    }
}

/// Applies an option of the whole link.
fn link_option(
    settings: LinkSettings,
    name: &str,
    mut value: impl FnMut() -> Result<String, String>,
) -> Result<LinkSettings, String> {
    Ok(match name {
        "--round-trip" => settings.round_trip(duration(name, &value()?)?),
        "--jitter" => settings.jitter(duration(name, &value()?)?),
        "--loss" => settings.loss(percent(name, &value()?)?),
        "--reorder" => settings.reorder(percent(name, &value()?)?),
        "--syn-limit" => settings.syn_limit(number(name, &value()?)?),
        "--burst" => {
            let value = value()?;
            let (every, length) = value
                .split_once(',')
                .ok_or(format!("reading {name} {value:?}: not two durations; try 10s,1s"))?;
            let (every, length) = (duration(name, every)?, duration(name, length)?);
            settings.bursts(Bursts { every, length })
        }
        "--block-after" => {
            let value = value()?;
            match value.parse() {
                Ok(syns) => settings.block_after_syns(syns),
                Err(_) => settings.block_after(duration(name, &value)?),
            }
        }
        _ => return Err(format!("reading {name:?}: no such option; see link --help")),
    })
}

fn default_network() -> Network {
    "10.200.0.0/16".parse().expect("it is a network")
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("reading {name} {value:?}: not a number in its range"))
}

fn share(value: &str) -> Result<u32, String> {
    let addresses = value.strip_prefix("1/").and_then(|addresses| addresses.parse().ok());
    addresses
        .filter(|&addresses| addresses > 0)
        .ok_or(format!("reading --alive {value:?}: not one in a number; try 1/64"))
}

fn percent(name: &str, value: &str) -> Result<f64, String> {
    let percent = value.strip_suffix('%').unwrap_or(value).trim().parse::<f64>().ok();
    percent
        .map(|percent| percent / 100.0)
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or(format!("reading {name} {value:?}: not a percentage; try 2%"))
}

fn duration(name: &str, value: &str) -> Result<Duration, String> {
    let split = value.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(value.len());
    let (number, unit) = value.split_at(split);
    let second = match unit {
        "ms" => Some(0.001),
        "s" => Some(1.0),
        "m" => Some(60.0),
        _ => None,
    };
    second
        .zip(number.parse::<f64>().ok())
        .and_then(|(second, number)| Duration::try_from_secs_f64(second * number).ok())
        .ok_or(format!("reading {name} {value:?}: not a duration; try 50ms or 5s"))
}

fn list_hosts(settings: &LinkSettings) -> Result<ExitCode, String> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut hosts = settings.hosts();
    let written = hosts.try_for_each(|host| writeln!(out, "{host}")).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("writing the hosts: {error}"))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn print(text: &str) -> Result<ExitCode, String> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the command inside, waits for it and prints the counts.
fn run_command(settings: LinkSettings, command: &[String]) -> Result<ExitCode, String> {
    if !rustix::process::geteuid().is_root() {
        return Err(become_root());
    }
    // The command ends at Ctrl-C, and then the counts are printed.
    let mut ignored = SigSet::empty();
    ignored.add(Signal::SIGINT);
    ignored.add(Signal::SIGTERM);
    let _ = ignored.thread_block();
    allow_descriptors();
    let link = Link::start(settings).map_err(|error| error.to_string())?;
    let (program, arguments) = command.split_first().expect("there is a command");
    // The command inherits what is ignored now.
    let _ = ignored.thread_unblock();
    let child = link.command(program).args(arguments).spawn();
    let _ = ignored.thread_block();
    let status = child.and_then(|mut child| child.wait());
    let status = status.map_err(|error| format!("running {program}: {error}"))?;
    writeln!(io::stderr(), "{}", link.counts()).map_err(|error| error.to_string())?;
    // As a shell does for a command that a signal ended.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Raises the limit of open descriptors, because the servers need one for each connection.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // With fewer, the servers accept fewer connections at the same time.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Starts this program again as root of a user namespace. Returns the message why that failed.
fn become_root() -> String {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return format!("finding this program: {error}"),
    };
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--"]).arg(program).args(env::args_os().skip(1));
    format!("starting unshare: {}; install util-linux, or run this as root", unshare.exec())
}
