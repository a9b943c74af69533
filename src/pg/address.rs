//! Where the server is and how to speak to it: a libpq URL or key/value string, as typed, then as checked.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use pgwire_replication::{SslMode, TlsConfig};
use tokio_postgres::config::Host;

use crate::refusal::{Kind, Refusal};

/// A server, a database and a user. Its `Display` and `Debug` never show the password.
#[derive(Clone)]
pub struct Address {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: TlsConfig,
}

impl Address {
    /// The database, as named or by libpq's default (the user).
    #[must_use]
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_else(|| self.user())
    }

    /// The user; `postgres` when none is named.
    #[must_use]
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or("postgres")
    }

    /// The address with this password, unless it holds one already.
    #[must_use]
    pub fn or_password(mut self, password: &str) -> Self {
        if self.config.get_password().is_none() {
            self.config.password(password);
        }
        self
    }

    /// The password, if the address holds one.
    pub(super) fn password(&self) -> Option<&[u8]> {
        self.config.get_password()
    }

    /// The start-up options that the address holds.
    pub(super) fn options(&self) -> Option<&str> {
        self.config.get_options()
    }

    /// The first host and its port.
    pub(super) fn host(&self) -> (Host, u16) {
        let host = self.config.get_hosts().first().cloned().unwrap_or_else(|| Host::Tcp("127.0.0.1".into()));
        (host, self.config.get_ports().first().copied().unwrap_or(5432))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = self.host();
        match host {
            Host::Tcp(name) => write!(f, "{name}:{port}/{}", self.database()),
            Host::Unix(path) => write!(f, "{}:{port}/{}", path.display(), self.database()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl FromStr for Address {
    type Err = Refusal;

    /// `postgres://user:password@host:port/database?sslmode=..&sslrootcert=..` or `host=.. user=..`.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let refuse = |what: String| {
            Refusal::new(Kind::Usage, what, "write it as postgres://user:password@host:port/database?sslmode=prefer")
        };
        let (rest, options) = take_tls_options(text);
        let config: tokio_postgres::Config = rest.parse().map_err(|e: tokio_postgres::Error| {
            let cause = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            refuse(format!("the address of Postgres cannot be read: {cause}"))
        })?;
        if config.get_hosts().len() > 1 {
            return Err(refuse("the address names several hosts, pgtape speaks to one".into()));
        }
        let mut tls = TlsConfig { mode: SslMode::Prefer, ..TlsConfig::disabled() };
        for (key, value) in options {
            match (key.as_str(), value.as_str()) {
                ("sslmode", "disable") => tls.mode = SslMode::Disable,
                ("sslmode", "prefer") => tls.mode = SslMode::Prefer,
                ("sslmode", "require") => tls.mode = SslMode::Require,
                ("sslmode", "verify-ca") => tls.mode = SslMode::VerifyCa,
                ("sslmode", "verify-full") => tls.mode = SslMode::VerifyFull,
                ("sslmode", other) => {
                    return Err(refuse(format!(
                        "sslmode={other} is not implemented (disable, prefer, require, verify-ca, verify-full are)"
                    )));
                }
                ("sslrootcert", path) => tls.ca_pem_path = Some(PathBuf::from(path)),
                ("sslcert", path) => tls.client_cert_pem_path = Some(PathBuf::from(path)),
                (_, path) => tls.client_key_pem_path = Some(PathBuf::from(path)),
            }
        }
        // libpq: a root certificate turns "require" into "verify-ca".
        if tls.mode == SslMode::Require && tls.ca_pem_path.is_some() {
            tls.mode = SslMode::VerifyCa;
        }
        Ok(Self { config, tls })
    }
}

const TLS_OPTIONS: [&str; 4] = ["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// Splits off the TLS options, which `tokio_postgres::Config` knows only in part.
fn take_tls_options(text: &str) -> (String, Vec<(String, String)>) {
    let mut taken = Vec::new();
    let mut take = |pair: &str| {
        let Some((key, value)) = pair.split_once('=') else { return false };
        let known = TLS_OPTIONS.contains(&key);
        if known {
            let value = percent_encoding::percent_decode_str(value.trim_matches('\'')).decode_utf8_lossy().into_owned();
            taken.push((key.to_owned(), value));
        }
        known
    };
    if text.contains("://") {
        let Some((base, query)) = text.split_once('?') else { return (text.to_owned(), taken) };
        let rest: Vec<&str> = query.split('&').filter(|pair| !take(pair)).collect();
        let joined = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        (joined, taken)
    } else {
        let rest: Vec<&str> = text.split_whitespace().filter(|pair| !take(pair)).collect();
        (rest.join(" "), taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_is_honoured_or_refused() {
        let check = |url: &str, want: SslMode| assert_eq!(url.parse::<Address>().unwrap().tls.mode, want, "{url}");
        check("postgres://a@h/db", SslMode::Prefer);
        check("postgres://a@h/db?sslmode=verify-full&application_name=x", SslMode::VerifyFull);
        check("postgres://a@h/db?sslmode=require&sslrootcert=%2Fca.pem", SslMode::VerifyCa);
        check("host=h user=a sslmode=disable", SslMode::Disable);
        let refusal = "postgres://a@h/db?sslmode=allow".parse::<Address>().unwrap_err();
        assert_eq!(refusal.kind, Kind::Usage);
    }

    #[test]
    fn the_password_is_never_shown() {
        let address: Address = "postgres://a:hush@h:1/db".parse().unwrap();
        assert_eq!(format!("{address} {address:?}"), "h:1/db Address(h:1/db)");
        let refusal = "postgres://a:hush@h:port/db".parse::<Address>().unwrap_err();
        assert!(!refusal.to_string().contains("hush"), "{refusal}");
    }
}
