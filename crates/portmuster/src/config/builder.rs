//! Builds configurations: collects settings and validates them.
//!
//! Invariant: a [`Config`] is only created here or by default, so all its settings are valid.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use super::{
    Addresses, Config, ConfigError, ConfigErrorKind, HostKeyProbing, MaxMissed, Method, Patience,
    Probing, Proxy, SpeakFirst, defaults,
};

/// The largest `in_flight`.
const LARGEST_IN_FLIGHT: usize = 1 << 20;

/// Builds a [`Config`]: one setter per setting, then [`build`](Self::build).
///
/// A setting that is not set has its default. A setting that can be absent takes the plain value or
/// an `Option`.
///
/// ```
/// use std::time::Duration;
///
/// use portmuster::{Checker, Config, config::{Probing}};
///
/// let config = Config::builder()
///     .probing(Probing::Greeting)
///     .rate(2_000)
///     .per_host(None)
///     .timeout(Duration::from_secs(3))
///     .build()?;
/// let checker = Checker::new(config);
/// # let _ = checker;
/// # Ok::<(), portmuster::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfigBuilder {
    /// The settings so far, except those below.
    config: Config,
    rate: Option<u32>,
    per_host: Option<u32>,
}

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self {
            config: Config::default(),
            rate: Some(defaults::RATE),
            per_host: Some(defaults::PER_HOST),
        }
    }
}

impl Config {
    /// Creates a builder with the default settings.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }
}

impl ConfigBuilder {
    /// Sets how checks run side by side. Default: [`Method::EventLoop`].
    pub fn method(mut self, method: Method) -> Self {
        self.config.method = method;
        self
    }

    /// Sets the number of threads, loops or processes, by method: at least 1.
    ///
    /// `None`, the default: 256 threads, 32 processes with one thread each, or one loop or larger
    /// process per core; fewer if this machine allows fewer. The method `serial` has exactly one.
    pub fn workers(mut self, workers: impl Into<Option<usize>>) -> Self {
        self.config.workers = workers.into();
        self
    }

    /// Sets the number of threads in each process of [`Method::ProcessThreads`]: at least 1.
    ///
    /// `None`, the default: 250, or fewer if this machine allows fewer. Other methods refuse the
    /// setting.
    pub fn threads(mut self, threads: impl Into<Option<usize>>) -> Self {
        self.config.threads = threads.into();
        self
    }

    /// Sets the maximum number of attempts open at the same time: 1 to 2^20.
    ///
    /// `None`, the default: as many as the rate needs when no target answers before the timeout, from
    /// [`IN_FLIGHT_MIN`](defaults::IN_FLIGHT_MIN) to [`IN_FLIGHT_MAX`](defaults::IN_FLIGHT_MAX), and at
    /// most half of what this system's TCP memory is meant for. Through a [proxy](Self::proxy) it is
    /// [`IN_FLIGHT_PROXY`](defaults::IN_FLIGHT_PROXY). This machine may allow fewer; see
    /// [`Outcomes::in_flight`](crate::Outcomes::in_flight).
    pub fn in_flight(mut self, in_flight: impl Into<Option<usize>>) -> Self {
        self.config.in_flight = in_flight.into();
        self
    }

    /// Sets the maximum number of new connections per second: at least 1, or `None` for no limit.
    /// Default: 10,000.
    pub fn rate(mut self, rate: impl Into<Option<u32>>) -> Self {
        self.rate = rate.into();
        self
    }

    /// Sets the maximum number of attempts open towards one address at the same time: at least 1, or
    /// `None` for no limit. Default: 4.
    pub fn per_host(mut self, per_host: impl Into<Option<u32>>) -> Self {
        self.per_host = per_host.into();
        self
    }

    /// Sets how long one address may be busy, that is, have open attempts or waiting targets without
    /// a break; exact to a second, longer than zero.
    ///
    /// Afterwards its untried targets end as
    /// [`Reason::HostTimeout`](crate::Reason::HostTimeout), and those that wait for another attempt
    /// with the verdict that they have. `None`, the default, for no limit.
    pub fn host_timeout(mut self, host_timeout: impl Into<Option<Duration>>) -> Self {
        self.config.host_timeout = host_timeout.into();
        self
    }

    /// Sets how often a filtered target is retried. With 0, a server that closes the connection
    /// without sending a byte is not tried again either. Default: 1.
    pub fn retries(mut self, retries: u32) -> Self {
        self.config.retries = retries;
        self
    }

    /// Sets how long an attempt waits for an endpoint that does not answer. Default:
    /// [`Patience::Full`].
    pub fn patience(mut self, patience: Patience) -> Self {
        self.config.patience = patience;
        self
    }

    /// Sets the largest share of silent targets that may be missed, and has it measured: when a
    /// block of targets is done, a random sample of its silent targets is asked once more.
    ///
    /// [`Outcomes::certainty`](crate::Outcomes::certainty) states the result. The outcomes of silent
    /// targets become known when their block ends: after 2^20 targets or, of a stream, after 65,536
    /// silent ones or a minute. Without [retries](Self::retries) nothing is measured. `None`, the
    /// default: the outcome of a silent target becomes known after its last attempt.
    pub fn max_missed(mut self, max_missed: impl Into<Option<MaxMissed>>) -> Self {
        self.config.max_missed = max_missed.into();
        self
    }

    /// Sets the seed that determines which targets are sampled: those whose first attempt keeps the
    /// whole timeout, and those that are asked again. `None`, the default: a random seed.
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.config.seed = seed.into();
        self
    }

    /// Sets the time limit from the start of a connection attempt until it is accepted or refused;
    /// longer than zero. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.limits.timeout = timeout;
        self
    }

    /// Sets the time limit from the accept until the first byte; longer than zero. Default: 12 s.
    pub fn first_byte(mut self, first_byte: Duration) -> Self {
        self.config.limits.first_byte = first_byte;
        self
    }

    /// Sets the time from the accept until a silent server gets an empty line. Default: 3 s.
    pub fn active_step(mut self, active_step: Duration) -> Self {
        self.config.limits.active_step = active_step;
        self
    }

    /// Sets the time from the last byte, or the empty line, until a greeting that a rule recognises
    /// counts as complete; longer than zero.
    ///
    /// Bytes that no rule recognises get as long as a [first byte](Self::first_byte). Default: 2 s.
    pub fn quiet(mut self, quiet: Duration) -> Self {
        self.config.limits.quiet = quiet;
        self
    }

    /// Sets the time limit from the accept until the conversation is ended, even if the server is
    /// still sending; longer than zero. Default: 20 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.config.limits.deadline = deadline;
        self
    }

    /// Sets what an attempt finds out about an open port. Default: [`Probing::KeyExchange`].
    pub fn probing(mut self, probing: Probing) -> Self {
        self.config.probing = probing;
        self
    }

    /// Sets whether a silent port, or one that answers the empty line, gets a second connection on
    /// which this side speaks first. Default: [`SpeakFirst::Auto`].
    pub fn speak_first(mut self, speak_first: SpeakFirst) -> Self {
        self.config.speak_first = speak_first;
        self
    }

    /// Sets whether outcomes keep the [conversation](crate::outcome::Evidence), up to its limits. They always
    /// keep the banner. Default: false.
    pub fn evidence(mut self, evidence: bool) -> Self {
        self.config.evidence = evidence;
        self
    }

    /// Sets which host keys ssh servers are asked for. Default: [`HostKeyProbing::Off`]. Feature
    /// `host-keys`.
    ///
    /// After the server's offer it is sent an offer of one method and a public value, in the same
    /// connection, which ends with the server's reply. An sshd may count that as a connection without
    /// authentication. Other settings than `Off` need [`Probing::KeyExchange`].
    #[cfg(feature = "host-keys")]
    pub fn host_keys(mut self, host_keys: HostKeyProbing) -> Self {
        self.config.host_keys = host_keys;
        self
    }

    /// Sets which addresses of a name are checked. Default: [`Addresses::UntilOneAccepts`].
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.config.addresses = addresses;
        self
    }

    /// Sets the source address of connections. `None`, the default: the operating system chooses it.
    ///
    /// Whether this machine has the address is checked when a run starts.
    pub fn source(mut self, source: impl Into<Option<IpAddr>>) -> Self {
        self.config.source = source.into();
        self
    }

    /// Sets the proxy through which all connections go. `None`, the default: they go to their endpoints.
    ///
    /// Before a run starts, a connection to the proxy checks that it accepts this client. Each attempt
    /// waits for the proxy's acceptance and for its reply to the request up to the
    /// [timeout](Self::timeout) each, so it may take twice as long.
    pub fn proxy(mut self, proxy: impl Into<Option<Proxy>>) -> Self {
        self.config.proxy = proxy.into();
        self
    }

    /// Sets whether connections may bypass a preloaded library that intercepts connect(2), as
    /// proxychains and torsocks do. Default: false.
    ///
    /// Connections are made by system calls, so such a library never sees them. A run that has one, and
    /// no [proxy](Self::proxy), is refused with [`StartError::Preloaded`](crate::StartError::Preloaded).
    pub fn bypass_preload(mut self, bypass_preload: bool) -> Self {
        self.config.bypass_preload = bypass_preload;
        self
    }

    /// Validates the settings. The result is the same on every machine.
    ///
    /// What depends on this machine is checked when a run starts: how many workers it allows, and
    /// whether it has the source address.
    ///
    /// # Errors
    /// A number or a time limit is zero or too large, the method does not have a setting that was set,
    /// or each address of a name is to be checked through a proxy that looks names up.
    pub fn build(self) -> Result<Config, ConfigError> {
        let Self { config, rate, per_host } = self;
        let rate = at_least_one("rate", rate)?;
        let per_host = at_least_one("per_host", per_host)?;
        let config = Config { rate, per_host, ..config };
        validate_counts(&config)?;
        validate_times(&config)?;
        if config.host_keys != HostKeyProbing::Off && config.probing != Probing::KeyExchange {
            return Err(ConfigError::new("host_keys", ConfigErrorKind::NeedsKeyExchange));
        }
        let is_remote = config.proxy.as_ref().is_some_and(Proxy::looks_up_names);
        if is_remote && config.addresses == Addresses::Each {
            return Err(ConfigError::new("addresses", ConfigErrorKind::NamesAtProxy));
        }
        Ok(config)
    }
}

fn at_least_one(
    setting: &'static str,
    number: Option<u32>,
) -> Result<Option<NonZeroU32>, ConfigError> {
    let zero = ConfigError::new(setting, ConfigErrorKind::Zero);
    number.map(|number| NonZeroU32::new(number).ok_or(zero)).transpose()
}

fn validate_counts(config: &Config) -> Result<(), ConfigError> {
    let &Config { method, workers, threads, in_flight, .. } = config;
    // All other limits of workers are those of a machine.
    let workers_max = if method == Method::Serial { 1 } else { usize::MAX };
    for (setting, value, max) in [
        ("in_flight", in_flight, LARGEST_IN_FLIGHT),
        ("workers", workers, workers_max),
        ("threads", threads, usize::MAX),
    ] {
        match value {
            Some(0) => return Err(ConfigError::new(setting, ConfigErrorKind::Zero)),
            Some(value) if value > max => {
                return Err(ConfigError::new(setting, ConfigErrorKind::TooLarge { value, max }));
            }
            _ => {}
        }
    }
    if threads.is_some() && method != Method::ProcessThreads {
        return Err(ConfigError::new("threads", ConfigErrorKind::Unused { method }));
    }
    Ok(())
}

fn validate_times(config: &Config) -> Result<(), ConfigError> {
    let times = [
        ("timeout", Some(config.limits.timeout)),
        ("first_byte", Some(config.limits.first_byte)),
        ("quiet", Some(config.limits.quiet)),
        ("deadline", Some(config.limits.deadline)),
        ("host_timeout", config.host_timeout),
    ];
    match times.into_iter().find(|(_, time)| time.is_some_and(|time| time.is_zero())) {
        Some((setting, _)) => Err(ConfigError::new(setting, ConfigErrorKind::Zero)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builder_without_settings_builds_the_default() {
        assert_eq!(Config::builder().build(), Ok(Config::default()));
    }

    #[test]
    fn zero_is_refused_with_the_name_of_the_setting() {
        let none = Duration::ZERO;
        let process_threads = || Config::builder().method(Method::ProcessThreads);
        for (setting, builder) in [
            ("in_flight", Config::builder().in_flight(0)),
            ("workers", Config::builder().workers(0)),
            ("threads", process_threads().threads(0)),
            ("rate", Config::builder().rate(0)),
            ("per_host", Config::builder().per_host(0)),
            ("timeout", Config::builder().timeout(none)),
            ("first_byte", Config::builder().first_byte(none)),
            ("quiet", Config::builder().quiet(none)),
            ("deadline", Config::builder().deadline(none)),
            ("host_timeout", Config::builder().host_timeout(none)),
        ] {
            assert_eq!(builder.build(), Err(ConfigError::new(setting, ConfigErrorKind::Zero)));
        }
        assert!(Config::builder().active_step(none).retries(0).build().is_ok());
    }

    #[test]
    fn numbers_too_large_for_every_machine_are_refused() {
        let largest = Config::builder().in_flight(LARGEST_IN_FLIGHT);
        assert!(largest.clone().build().is_ok());
        let error = largest.in_flight(2_000_000).build().expect_err("no queue has this room");
        let kind = ConfigErrorKind::TooLarge { value: 2_000_000, max: LARGEST_IN_FLIGHT };
        assert_eq!(error, ConfigError::new("in_flight", kind));

        let serial = Config::builder().method(Method::Serial).workers(2).build();
        let kind = ConfigErrorKind::TooLarge { value: 2, max: 1 };
        assert_eq!(serial, Err(ConfigError::new("workers", kind)));
    }

    #[test]
    fn methods_without_threads_per_process_refuse_the_setting() {
        for method in Method::ALL {
            let built = Config::builder().method(method).threads(7).build();
            let kind = ConfigErrorKind::Unused { method };
            match method {
                Method::ProcessThreads => assert!(built.is_ok()),
                _ => assert_eq!(built, Err(ConfigError::new("threads", kind))),
            }
        }
    }

    #[cfg(feature = "host-keys")]
    #[test]
    fn host_keys_need_the_offer_of_the_server() {
        let settings =
            |probing| Config::builder().host_keys(HostKeyProbing::First).probing(probing);
        assert!(settings(Probing::KeyExchange).build().is_ok());
        for probing in [Probing::Greeting, Probing::ConnectOnly] {
            let error = settings(probing).build().expect_err("nothing is read after the greeting");
            assert_eq!(error, ConfigError::new("host_keys", ConfigErrorKind::NeedsKeyExchange));
        }
    }

    #[test]
    fn addresses_of_names_at_the_proxy_are_refused() {
        let each = |proxy: &str| {
            let proxy: Proxy = proxy.parse().expect("it is valid");
            Config::builder().addresses(Addresses::Each).proxy(proxy).build()
        };
        assert!(each("socks5://bastion").is_ok());
        let error = ConfigError::new("addresses", ConfigErrorKind::NamesAtProxy);
        assert_eq!(each("socks5h://bastion"), Err(error));
    }

    #[test]
    fn validation_does_not_depend_on_the_machine() {
        let config = Config::builder().method(Method::Threads).workers(usize::MAX).build();
        assert!(config.is_ok_and(|config| config.workers() == Some(usize::MAX)));
    }
}
