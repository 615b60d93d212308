//! The argument that names a proxy.

use std::env;

use anyhow::anyhow;
use clap::Args;
use portmuster::config::{ConfigBuilder, Proxy};

use super::headings;

/// The environment variable that names a proxy, so that no password is in a list of processes.
pub(crate) const PROXY_VARIABLE: &str = "PORTMUSTER_PROXY";

/// The value that stands for no proxy.
const NONE: &str = "none";

const LONG: &str = "\
Connect through a SOCKS5 proxy, such as one that runs on a bastion host: socks5://HOST:PORT, or \
socks5h://HOST:PORT to have the proxy look names up. A refusal is then the word of the proxy, and at most \
64 connections are open unless --in-flight says otherwise. With a login it is \
socks5://USER:PASSWORD@HOST:PORT; other users of this system can read the command line, so set the \
environment variable PORTMUSTER_PROXY instead, which is used if this option is missing, or write the \
option into the file of --config. No output contains the login. Other variables, such as ALL_PROXY, are \
not used. \"none\" connects directly, also where a preloaded library such as that of proxychains redirects \
the connections of other programs.";

/// The proxy that connections go through.
#[derive(Debug, Args)]
#[command(next_help_heading = headings::TARGETS)]
pub(crate) struct ProxyArgs {
    /// Connect through a SOCKS5 proxy (socks5://HOST:PORT, socks5h://HOST:PORT)
    #[arg(hide_short_help = true, long, value_name = "URL", long_help = LONG)]
    proxy: Option<ProxyUrl>,
}

/// The text of a URL that may have a password. Any text is valid here, because clap repeats invalid ones.
#[derive(Clone)]
struct ProxyUrl(String);

impl From<&str> for ProxyUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&without_login(&self.0))
    }
}

impl ProxyArgs {
    /// Adds the argument to the settings of the library.
    ///
    /// # Errors
    /// It is not the URL of a proxy.
    pub(super) fn apply(&self, settings: ConfigBuilder) -> anyhow::Result<ConfigBuilder> {
        match self.named() {
            None => Ok(settings),
            Some((_, text)) if text == NONE => Ok(settings.bypass_preload(true)),
            Some((source, text)) => {
                let proxy: Proxy = text.parse().map_err(|error| anyhow!("{source}: {error}"))?;
                Ok(settings.proxy(proxy))
            }
        }
    }

    /// Returns the proxy; `None`: there is none, or its URL is invalid.
    pub(crate) fn proxy(&self) -> Option<Proxy> {
        self.named().and_then(|(_, text)| text.parse().ok())
    }

    /// Returns whether neither the option nor the variable says how to connect.
    pub(crate) fn is_missing(&self) -> bool {
        self.named().is_none()
    }

    /// Returns the text of the option or of the variable, and what it is called.
    fn named(&self) -> Option<(&'static str, String)> {
        let option = self.proxy.as_ref().map(|ProxyUrl(text)| ("--proxy", text.clone()));
        option.or_else(|| {
            let text = env::var_os(PROXY_VARIABLE).filter(|text| !text.is_empty())?;
            Some((PROXY_VARIABLE, text.to_string_lossy().into_owned()))
        })
    }
}

/// Returns the value of `--proxy` without its user name and password.
pub(crate) fn without_login(url: &str) -> String {
    let Some((before, place)) = url.rsplit_once('@') else { return url.to_owned() };
    let scheme = before.split_once("://").map_or("socks5", |(scheme, _)| scheme);
    format!("{scheme}://***@{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_is_removed_from_any_text() {
        for (url, expected) in [
            ("socks5://bastion:1080", "socks5://bastion:1080"),
            ("socks5h://user:secret@bastion:1080", "socks5h://***@bastion:1080"),
            ("socks5://user:secret@x@bastion", "socks5://***@bastion"),
            ("user:secret@bastion", "socks5://***@bastion"),
            ("none", "none"),
        ] {
            assert_eq!(without_login(url), expected);
            assert_eq!(format!("{:?}", ProxyUrl::from(url)), expected);
        }
    }
}
