//! Settings by keyword, with errors that name the keyword and what it takes.

use std::{net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use portmuster::{
    Config, Method,
    config::{
        Addresses, ConfigBuilder, HostKeyProbing, MaxMissed, Patience, Probing, Proxy, SpeakFirst,
    },
    targets::{Columns, InputFormat, InputOptions, Order, Ports, Shard},
};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyDict, PyString},
};

use crate::{
    errors::{SettingError, bad_config},
    item::describe,
};

/// The keywords of `check`.
const KEYWORDS: [&str; 34] = [
    "ports",
    "files",
    "input_format",
    "columns",
    "labels",
    "hosts_up",
    "exclude",
    "exclude_files",
    "family",
    "all_addresses",
    "source",
    "proxy",
    "order",
    "seed",
    "shard",
    "probe",
    "speak_first",
    "evidence",
    "recog",
    "host_keys",
    "timeout",
    "first_byte",
    "quiet",
    "deadline",
    "method",
    "workers",
    "threads",
    "in_flight",
    "rate",
    "per_host",
    "host_timeout",
    "retries",
    "patience",
    MAX_MISSED,
];

const MAX_MISSED: &str = "max_missed";

/// The longest time that a setting takes, in seconds: a year.
const SECONDS_MAX: f64 = 366.0 * 24.0 * 3600.0;

/// The keywords of a call, with their values.
pub(crate) struct Keywords<'py>(Bound<'py, PyDict>);

impl<'py> Keywords<'py> {
    /// Takes the keywords of a call of `check`.
    ///
    /// # Errors
    /// `TypeError`: one of them is unknown.
    pub(crate) fn of_check(given: Bound<'py, PyDict>) -> PyResult<Self> {
        for name in given.keys() {
            let name: String = name.extract()?;
            if !KEYWORDS.contains(&&*name) {
                return Err(unknown(&name));
            }
        }
        Ok(Self(given))
    }

    /// Takes keywords that are known to be valid names.
    pub(crate) fn known(given: Bound<'py, PyDict>) -> Self {
        Self(given)
    }

    /// Returns the value of a keyword; `None` if it was not given.
    fn given(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.get_item(name)
    }

    /// Returns the value of a keyword, converted; `None` if it was not given.
    ///
    /// # Errors
    /// `SettingError`: the value is not what the keyword takes.
    fn get<T: FromPyObjectOwned<'py>>(&self, name: &str, takes: &str) -> PyResult<Option<T>> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        value.extract().map(Some).map_err(|_| wrong(name, &value, takes))
    }

    /// Returns the value of a keyword whose text is parsed; `None` if it was not given.
    fn parse<T: FromStr>(&self, name: &str, takes: &str) -> PyResult<Option<T>> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        let parsed =
            value.cast::<PyString>().ok().and_then(|text| text.to_str().ok()?.parse().ok());
        parsed.map(Some).ok_or_else(|| wrong(name, &value, takes))
    }

    /// Returns the value of a keyword that is one of these words; `None` if it was not given.
    fn choose<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> PyResult<Option<T>> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        let word: Option<String> = value.extract().ok();
        let chosen = words.iter().find(|(known, _)| word.as_deref() == Some(known));
        chosen.map(|&(_, chosen)| Some(chosen)).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(known, _)| format!("{known:?}")).collect();
            wrong(name, &value, &format!("one of {}", known.join(", ")))
        })
    }

    /// Returns the value of a keyword that is a time in seconds; `None` if it was not given.
    fn seconds(&self, name: &str) -> PyResult<Option<Duration>> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        seconds(name, &value).map(Some)
    }

    /// Returns the value of a keyword that may be None; `None` if it was not given.
    #[expect(
        clippy::option_option,
        reason = "a keyword that is None is not one that was not given"
    )]
    fn optional<T: FromPyObjectOwned<'py>>(
        &self,
        name: &str,
        takes: &str,
    ) -> PyResult<Option<Option<T>>> {
        self.get(name, &format!("{takes}, or None"))
    }

    /// Returns a switch; false if it was not given.
    fn switch(&self, name: &str) -> PyResult<bool> {
        Ok(self.get(name, "True or False")?.unwrap_or_default())
    }

    /// Returns the paths or items of a keyword: one, or an iterable of them.
    fn list(&self, name: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let Some(value) = self.given(name)? else { return Ok(Vec::new()) };
        if value.is_instance_of::<PyString>() || value.hasattr("__fspath__")? {
            return Ok(vec![value]);
        }
        let items = value.try_iter().map_err(|_| wrong(name, &value, "a list"))?;
        items.collect()
    }

    /// Returns the paths of a keyword.
    fn paths(&self, name: &str) -> PyResult<Vec<PathBuf>> {
        let path = |item: Bound<'py, PyAny>| {
            item.extract().map_err(|_| wrong(name, &item, "paths of files"))
        };
        self.list(name)?.into_iter().map(path).collect()
    }

    /// Returns the texts of a keyword.
    fn texts(&self, name: &str) -> PyResult<Vec<String>> {
        let text =
            |item: Bound<'py, PyAny>| item.extract().map_err(|_| wrong(name, &item, "texts"));
        self.list(name)?.into_iter().map(text).collect()
    }
}

/// What a call of `check` reads: its targets, and fingerprints.
pub(crate) struct InputSettings {
    pub(crate) ports: Ports,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) options: InputOptions,
    /// Items that are never connected to.
    pub(crate) exclude: Vec<String>,
    pub(crate) exclude_files: Vec<PathBuf>,
    /// The network of all addresses that are not of the family to use; `None`: both are used.
    pub(crate) other_family: Option<&'static str>,
    /// The directory of Recog's files; `None`: only the built-in fingerprints name software.
    pub(crate) recog: Option<PathBuf>,
    pub(crate) order: Order,
    pub(crate) shard: Shard,
}

impl InputSettings {
    /// Reads the settings of the input.
    ///
    /// # Errors
    /// `SettingError`: a value is not what its keyword takes.
    pub(crate) fn read(keywords: &Keywords<'_>) -> PyResult<Self> {
        let seed = keywords.optional("seed", "a whole number from 0")?.flatten();
        let shuffled = Order::Shuffled { seed };
        let order = keywords.choose("order", &[("shuffled", shuffled), ("given", Order::Given)])?;
        let families = [("any", None), ("ipv4", Some("::/0")), ("ipv6", Some("0.0.0.0/0"))];
        let ports = keywords.parse("ports", "ports, such as \"22,2222-2230\" or \"ssh,telnet\"")?;
        let shard = keywords.parse("shard", "M/N with M from 1 to N, such as \"2/3\"")?;
        Ok(Self {
            ports: ports.unwrap_or_else(Ports::ssh_and_telnet),
            files: keywords.paths("files")?,
            options: options(keywords)?,
            exclude: keywords.texts("exclude")?,
            exclude_files: keywords.paths("exclude_files")?,
            other_family: keywords.choose("family", &families)?.flatten(),
            recog: keywords.optional("recog", "the path of a directory")?.flatten(),
            order: order.unwrap_or(shuffled),
            shard: shard.unwrap_or(Shard::WHOLE),
        })
    }
}

fn options(keywords: &Keywords<'_>) -> PyResult<InputOptions> {
    let formats: Vec<_> = InputFormat::ALL.into_iter().map(|it| (it.name(), it)).collect();
    let mut options = InputOptions::default();
    options.format = keywords.choose("input_format", &formats)?;
    options.columns =
        keywords.parse::<Columns>("columns", "HOST,PORT,LABEL, such as \"ip,port,name\"")?;
    options.labels = keywords.switch("labels")?;
    options.hosts_up = keywords.switch("hosts_up")?;
    Ok(options)
}

/// Reads the settings of a run of `check`. Those that are not given have the defaults of the program.
///
/// # Errors
/// `SettingError`: a value is not what its keyword takes, or the method does not have the setting.
pub(crate) fn check_config(keywords: &Keywords<'_>) -> PyResult<Config> {
    let probes = [
        ("key-exchange", Probing::KeyExchange),
        ("greeting", Probing::Greeting),
        ("connect", Probing::ConnectOnly),
    ];
    let patience = Patience::ALL.map(|it| (it.name(), it));
    let host_keys = HostKeyProbing::ALL.map(|it| (it.name(), it));
    let mut settings = Config::builder()
        .probing(keywords.choose("probe", &probes)?.unwrap_or_default())
        .patience(keywords.choose("patience", &patience)?.unwrap_or(Patience::Adaptive))
        .evidence(keywords.switch("evidence")?)
        .host_keys(keywords.choose("host_keys", &host_keys)?.unwrap_or_default())
        .seed(keywords.optional("seed", "a whole number from 0")?.flatten());
    if keywords.get("speak_first", "True or False")? == Some(false) {
        settings = settings.speak_first(SpeakFirst::Never);
    }
    if keywords.switch("all_addresses")? {
        settings = settings.addresses(Addresses::Each);
    }
    for (name, set) in TIMES {
        if let Some(time) = keywords.seconds(name)? {
            settings = set(settings, time);
        }
    }
    if let Some(host_timeout) = keywords.given("host_timeout")?.filter(|it| !it.is_none()) {
        settings = settings.host_timeout(seconds("host_timeout", &host_timeout)?);
    }
    let retries = keywords.get("retries", "a whole number from 0")?;
    let retries = retries.unwrap_or(portmuster::config::defaults::RETRIES);
    settings = settings.retries(retries).max_missed(max_missed(keywords, retries)?);
    speed(keywords, settings)
}

/// A setter of a time limit.
type SetTime = fn(ConfigBuilder, Duration) -> ConfigBuilder;

/// The time limits of an attempt, and their setters.
const TIMES: [(&str, SetTime); 4] = [
    ("timeout", ConfigBuilder::timeout),
    ("first_byte", ConfigBuilder::first_byte),
    ("quiet", ConfigBuilder::quiet),
    ("deadline", ConfigBuilder::deadline),
];

/// Reads the settings of a run of `check_ports`, which only connects, once, at any rate.
///
/// # Errors
/// As [`check_config`].
pub(crate) fn connect_config(keywords: &Keywords<'_>) -> PyResult<Config> {
    let mut settings =
        Config::builder().probing(Probing::ConnectOnly).retries(0).rate(None).per_host(None);
    if let Some(timeout) = keywords.seconds("timeout")? {
        settings = settings.timeout(timeout);
    }
    speed(keywords, settings)
}

/// Adds the settings that determine how fast a run is, and validates all.
fn speed(keywords: &Keywords<'_>, mut settings: ConfigBuilder) -> PyResult<Config> {
    const COUNT: &str = "a whole number from 1";
    if let Some(method) = keywords.choose("method", &Method::ALL.map(|it| (it.name(), it)))? {
        settings = settings.method(method);
    }
    if let Some(workers) = keywords.optional::<usize>("workers", COUNT)? {
        settings = settings.workers(workers);
    }
    if let Some(threads) = keywords.optional::<usize>("threads", COUNT)? {
        settings = settings.threads(threads);
    }
    if let Some(in_flight) = keywords.optional::<usize>("in_flight", COUNT)? {
        settings = settings.in_flight(in_flight);
    }
    if let Some(rate) = keywords.optional::<u32>("rate", COUNT)? {
        settings = settings.rate(rate);
    }
    if let Some(per_host) = keywords.optional::<u32>("per_host", COUNT)? {
        settings = settings.per_host(per_host);
    }
    if let Some(Some(source)) =
        keywords.optional::<IpAddr>("source", "an address of this machine")?
    {
        settings = settings.source(source);
    }
    let settings = proxied(keywords, settings)?;
    settings.build().map_err(bad_config)
}

/// Adds the proxy. The errors do not repeat the URL, which may have a password.
fn proxied(keywords: &Keywords<'_>, settings: ConfigBuilder) -> PyResult<ConfigBuilder> {
    let Some(url) = keywords.given("proxy")?.filter(|it| !it.is_none()) else {
        return Ok(settings);
    };
    let url = url.extract::<String>().map_err(|_| {
        SettingError::new_err(
            "proxy takes a URL, such as \"socks5://host:1080\", \"none\", or None",
        )
    })?;
    if url == "none" {
        return Ok(settings.bypass_preload(true));
    }
    let proxy: Proxy =
        url.parse().map_err(|error| SettingError::new_err(format!("proxy: {error}")))?;
    Ok(settings.proxy(proxy))
}

/// Reads the largest share of silent targets that may be missed. `None`: it is not estimated.
fn max_missed(keywords: &Keywords<'_>, retries: u32) -> PyResult<Option<MaxMissed>> {
    const TAKES: &str = "a share from 0.000001 to 0.5, a percentage such as \"0.1%\", or None";
    let Some(value) = keywords.given(MAX_MISSED)? else {
        return Ok((retries > 0).then(MaxMissed::default));
    };
    if value.is_none() {
        return Ok(None);
    }
    if retries == 0 {
        let why =
            "max_missed asks silent targets again, and retries=0 asks each only once: remove one";
        return Err(SettingError::new_err(why));
    }
    let share = match value.extract::<String>() {
        Ok(percentage) => percentage.parse().ok(),
        Err(_) => value.extract::<f64>().ok().and_then(share),
    };
    share.map(Some).ok_or_else(|| wrong(MAX_MISSED, &value, TAKES))
}

/// Converts a share from 0 to 1.
fn share(share: f64) -> Option<MaxMissed> {
    let parts = (share * 1e6).round();
    if !(1.0..=1e6).contains(&parts) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a whole number from 1 to a million"
    )]
    MaxMissed::from_parts_per_million(parts as u32)
}

/// Converts a time in seconds.
fn seconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let time = value.extract::<f64>().ok().filter(|it| (0.0..=SECONDS_MAX).contains(it));
    let time = time.and_then(|time| Duration::try_from_secs_f64(time).ok());
    time.ok_or_else(|| wrong(name, value, "a time in seconds, such as 2.5"))
}

fn wrong(name: &str, value: &Bound<'_, PyAny>, takes: &str) -> PyErr {
    SettingError::new_err(format!("{name} takes {takes}; this is {}", describe(value)))
}

/// Returns the error for an unknown keyword, with the known one that was probably meant.
fn unknown(name: &str) -> PyErr {
    let near = KEYWORDS.into_iter().find(|known| are_similar(name, known));
    let hint = near.map(|known| format!(": did you mean {known}?")).unwrap_or_default();
    PyTypeError::new_err(format!("check() got an unexpected keyword argument {name:?}{hint}"))
}

/// Returns whether one name contains the other, or they begin with the same four characters.
fn are_similar(given: &str, known: &str) -> bool {
    let is_part = given.len() >= 3 && (known.contains(given) || given.contains(known));
    is_part || given.get(..4).is_some_and(|start| known.starts_with(start))
}
