//! `[kafka.registry]`: where schemas are kept.

use std::path::Path;
use std::time::Duration;

use super::Format;
use super::raw;
use super::security::Secret;
use crate::config::check::{first_line_of, refuse};
use crate::refusal::Refusal;

const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// A schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// `http://..` or `https://..`
    pub url: String,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// The certificates that its own must be signed by, PEM.
    pub ca: Option<Vec<u8>>,
    /// How long a call may take.
    pub timeout: Duration,
}

/// The registry, which Avro needs and nothing else does.
pub(super) fn registry(raw: &raw::Kafka, format: Format, key: &str) -> Result<Option<Registry>, Refusal> {
    let from = &raw.registry;
    let of = |name: &str| format!("{key}.registry.{name}");
    match (format, from.url.as_str()) {
        (Format::Avro, "") => {
            let hint = "write it as http://host:8081 (Apicurio: with /apis/ccompat/v7)";
            return Err(refuse(&of("url"), "is empty, and format = \"avro\" needs a schema registry", hint));
        }
        (Format::Avro, url) => {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
            if rest.is_empty() || rest.contains('@') {
                // Without the URL: it may hold a password.
                let hint = "give user and password_file apart";
                return Err(refuse(&of("url"), "does not begin with http:// or https://, or holds a user", hint));
            }
        }
        (Format::Json | Format::Plain, "") => return Ok(None),
        (Format::Json | Format::Plain, _) => {
            return Err(refuse(&of("url"), "is of no use without Avro", "set format = \"avro\", or leave it out"));
        }
    }
    // While the registry is waited for, a Kafka transaction is open.
    let longest = raw.transaction_timeout.0 / 4;
    if !(TIMEOUT_MIN..=longest).contains(&from.timeout.0) {
        let what = format!("{} is out of range", from.timeout);
        return Err(refuse(&of("timeout"), what, "write 100 ms to a quarter of transaction_timeout"));
    }
    let ca = match from.ca_file.as_str() {
        "" => None,
        path => {
            let unreadable = |e| refuse(&of("ca_file"), format!("{path}: {e}"), "check path and permissions");
            Some(std::fs::read(path).map_err(unreadable)?)
        }
    };
    Ok(Some(Registry { url: from.url.clone(), login: login(from, key)?, ca, timeout: from.timeout.0 }))
}

fn login(from: &raw::Registry, key: &str) -> Result<Option<(String, Secret)>, Refusal> {
    let password_key = format!("{key}.registry.password_file");
    match (from.user.as_str(), from.password_file.as_str()) {
        ("", "") => Ok(None),
        ("", _) => Err(refuse(&format!("{key}.registry.user"), "is empty", "name whose password the file holds")),
        (_, "") => Err(refuse(&password_key, "is empty", "name a file that holds the user's password")),
        (user, path) => {
            let password = first_line_of(&password_key, Path::new(path))?;
            Ok(Some((user.to_owned(), Secret(password))))
        }
    }
}
