//! Reads which sources the system asks for host names, and in which order (nsswitch.conf(5)).

use std::io;

use super::config_file;

const NSSWITCH_CONF: &str = "/etc/nsswitch.conf";

/// The line `hosts` of nsswitch.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameSources {
    sources: Vec<NameSource>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NameSource {
    /// For example `files`, `dns` or `mdns4_minimal`.
    module: String,
    /// Whether no later source is asked for a name that this one does not know.
    is_final: bool,
}

impl NameSources {
    /// Reads nsswitch.conf. Where the file, or its line `hosts`, is missing, the hosts file comes first
    /// and DNS second.
    pub(super) fn load() -> io::Result<Self> {
        // Other C libraries do not read the file and always ask DNS.
        let text = if cfg!(target_env = "gnu") {
            config_file::read(NSSWITCH_CONF)?
        } else {
            String::new()
        };
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let mut sources =
            lines.filter_map(|line| line.strip_prefix("hosts")?.trim_start().strip_prefix(':'));
        let sources = sources.next_back().unwrap_or("files dns");
        Self { sources: parse_sources(sources) }
    }

    /// Returns whether the system asks DNS for a name that the sources before DNS do not know. The
    /// module `resolve` counts as DNS: systemd-resolved answers plain DNS, too.
    pub(super) fn ask_dns(&self, name: &str) -> bool {
        for source in &self.sources {
            if is_dns(source) {
                return true;
            }
            // The mdns modules leave names outside `local` to the next source.
            if source.is_final && (!source.module.starts_with("mdns") || is_local(name)) {
                return false;
            }
        }
        false
    }

    /// Returns whether the system reads the hosts file before it asks DNS. systemd-resolved does so
    /// itself.
    pub(super) fn read_hosts_file_first(&self) -> bool {
        let first = self.sources.iter().find(|it| is_dns(it) || it.module == "files");
        first.is_some_and(|source| source.module != "dns")
    }
}

fn is_dns(source: &NameSource) -> bool {
    ["dns", "resolve"].contains(&source.module.as_str())
}

/// Returns whether the name belongs to multicast DNS (RFC 6762 §3).
fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(_, last)| last.eq_ignore_ascii_case("local"))
}

/// Parses modules and actions, for example `files mdns4_minimal [NOTFOUND=return] dns`.
fn parse_sources(line: &str) -> Vec<NameSource> {
    let mut sources: Vec<NameSource> = Vec::new();
    let mut is_action = false;
    for word in line.replace('[', " [ ").replace(']', " ] ").split_ascii_whitespace() {
        match word {
            "[" => is_action = true,
            "]" => is_action = false,
            action if is_action => {
                if let Some(source) = sources.last_mut() {
                    source.is_final |= returns_if_not_found(action);
                }
            }
            module => sources.push(NameSource { module: module.to_owned(), is_final: false }),
        }
    }
    sources
}

/// Returns whether the action, for example `!UNAVAIL=return`, ends the search when a source does not
/// know the name.
fn returns_if_not_found(action: &str) -> bool {
    let Some((status, action)) = action.split_once('=') else { return false };
    let matches_not_found = match status.strip_prefix('!') {
        Some(other) => !other.eq_ignore_ascii_case("NOTFOUND"),
        None => status.eq_ignore_ascii_case("NOTFOUND"),
    };
    matches_not_found && action.eq_ignore_ascii_case("return")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_is_asked_unless_an_earlier_source_ends_the_search() {
        for (text, name, expected) in [
            ("", "db.example", true),
            ("passwd: files\n", "db.example", true),
            ("hosts: dns\n", "db.example", true),
            ("hosts:\tfiles dns # mine\n", "db.example", true),
            (" hosts : files dns\n", "db.example", true),
            ("hosts: files\n", "db.example", false),
            ("hosts:\n", "db.example", false),
            ("# hosts: dns\nhosts: files ldap\n", "db.example", false),
            ("hosts: files ldap [NOTFOUND=return] dns\n", "db.example", false),
            ("hosts: files ldap [UNAVAIL=return] dns\n", "db.example", true),
            ("hosts: files nis [ SUCCESS=return !SUCCESS=return ] dns", "db.example", false),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns\n", "db.example", true),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns\n", "printer.LOCAL.", false),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns\n", "local", true),
            ("hosts: mymachines resolve [!UNAVAIL=return] files dns\n", "db.example", true),
            ("hosts: files resolve\n", "db.example", true),
        ] {
            assert_eq!(NameSources::parse(text).ask_dns(name), expected, "{text:?} {name}");
        }
    }

    #[test]
    fn hosts_file_comes_first_unless_dns_does() {
        for (text, expected) in [
            ("", true),
            ("hosts: files dns", true),
            ("hosts: resolve [!UNAVAIL=return] files dns", true),
            ("hosts: dns files", false),
            ("hosts: dns", false),
            ("hosts: ldap", false),
        ] {
            assert_eq!(NameSources::parse(text).read_hosts_file_first(), expected, "{text:?}");
        }
    }
}
