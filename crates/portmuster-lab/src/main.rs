//! The program `portmuster-lab`: runs the fixtures on loopback until its standard input ends or a
//! signal ends it.
//!
//! Usage: `portmuster-lab [--address ADDRESS] [--port N]`. It prints one line for each server.
//! `portmuster-lab link` (feature `link`) runs a command behind a slow, lossy network.

use std::{
    env,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use portmuster_lab::Lab;

#[cfg(feature = "link")]
mod link_command;

const USAGE: &str = "\
usage: portmuster-lab [--address ADDRESS] [--port N]
       portmuster-lab link [OPTIONS] -- COMMAND [ARGUMENT ...]

Starts test servers on loopback, prints one line for each, and runs until its
standard input ends.

      --address ADDRESS   loopback address to listen on [default: 127.0.0.1]
      --port N            first of consecutive ports; 0 lets the system pick the
                          ports [default: 0]
  -h, --help              print this text

The second form runs a command behind a slow, lossy network: see link --help.
";

/// What the command-line arguments ask for.
enum Command {
    Run(SocketAddr),
    Help,
}

fn main() -> ExitCode {
    if env::args().nth(1).is_some_and(|argument| argument == "link") {
        return run_link();
    }
    let command = match parse(env::args().skip(1)) {
        Ok(command) => command,
        Err(message) => return fail(&message, 2),
    };
    let result = match command {
        Command::Help => {
            io::stdout().write_all(USAGE.as_bytes()).map_err(|error| error.to_string())
        }
        Command::Run(bind) => run(bind),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message, 1),
    }
}

/// Runs the subcommand `link`.
#[cfg(feature = "link")]
fn run_link() -> ExitCode {
    link_command::run(env::args().skip(2))
        .unwrap_or_else(|(message, status)| fail(&message, status))
}

/// Says how to get the subcommand `link`.
#[cfg(not(feature = "link"))]
fn run_link() -> ExitCode {
    fail("this program was built without networks: build it with --features link", 2)
}

/// Reads the command-line arguments.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut bind = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().ok_or(format!("reading {argument}: its value is missing"));
        match argument.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--address" => {
                let value = value()?;
                bind.set_ip(value.parse().map_err(|_| {
                    format!("reading --address {value:?}: not an IP address; try 127.0.0.1")
                })?);
            }
            "--port" => {
                let value = value()?;
                bind.set_port(value.parse().map_err(|_| {
                    format!("reading --port {value:?}: not a number from 0 to 65535")
                })?);
            }
            _ => return Err(format!("reading {argument:?}: no such option; see --help")),
        }
    }
    Ok(Command::Run(bind))
}

/// Runs the fixtures until standard input ends.
fn run(bind: SocketAddr) -> Result<(), String> {
    let lab = Lab::start(bind).map_err(|error| error.to_string())?;
    print_servers(&lab)
        .and_then(|()| io::copy(&mut io::stdin().lock(), &mut io::sink()))
        .map_err(|error| format!("using standard input and output: {error}"))?;
    Ok(())
}

/// Prints the endpoint, name and description of each server.
fn print_servers(lab: &Lab) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (fixture, endpoint) in lab.fixtures() {
        writeln!(out, "{endpoint:<21} {:<14} {}", fixture.name, fixture.about)?;
    }
    out.flush()
}

/// Prints an error message and returns the exit status.
fn fail(message: &str, status: u8) -> ExitCode {
    // If standard error is closed, there is no other place to report the error.
    let _ = writeln!(io::stderr(), "portmuster-lab: {message}");
    ExitCode::from(status)
}
