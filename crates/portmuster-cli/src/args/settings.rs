//! Builds the configuration of a run, and reports its errors in the words of the command line.

use anyhow::anyhow;
use portmuster::{
    Config, ConfigError,
    config::{ConfigBuilder, ConfigErrorKind},
};

/// Builds the configuration.
///
/// # Errors
/// A setting is invalid.
pub(super) fn build(settings: ConfigBuilder) -> anyhow::Result<Config> {
    settings.build().map_err(|error| anyhow!(describe(error)))
}

fn describe(error: ConfigError) -> String {
    let option = match error.setting() {
        "quiet" => "quiet-after".to_owned(),
        setting => setting.replace('_', "-"),
    };
    match (error.setting(), error.kind()) {
        (_, ConfigErrorKind::Zero) => format!("{option} must be greater than zero"),
        (_, ConfigErrorKind::Unused { method }) => {
            format!("the method {method} has no setting {option}")
        }
        (_, ConfigErrorKind::NamesAtProxy) => {
            "--all-addresses needs the addresses of names, which socks5h leaves to the proxy: use \
             --proxy socks5://"
                .to_owned()
        }
        ("in_flight", ConfigErrorKind::TooLarge { value, max }) => format!(
            "{value} attempts in flight are more than the {max} that one run may have here (what a \
             run has room for)"
        ),
        ("workers", ConfigErrorKind::TooLarge { value, max }) => format!(
            "{value} workers of a serial run are more than the {max} that one run may have here (it \
             makes one check after the other)"
        ),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portmuster::Method;

    use super::*;

    fn assert_error(settings: ConfigBuilder, expected: &str) {
        let error = build(settings).expect_err("the setting is invalid");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn errors_name_options_instead_of_settings() {
        let settings = Config::builder;
        assert_error(settings().quiet(Duration::ZERO), "quiet-after must be greater than zero");
        assert_error(settings().in_flight(0), "in-flight must be greater than zero");
        assert_error(settings().threads(10), "the method event-loop has no setting threads");
        assert_error(
            settings().in_flight(2_000_000),
            "2000000 attempts in flight are more than the 1048576 that one run may have here (what \
             a run has room for)",
        );
        assert_error(
            settings().method(Method::Serial).workers(2),
            "2 workers of a serial run are more than the 1 that one run may have here (it makes one \
             check after the other)",
        );
    }
}
