//! How to talk to the brokers: as properties of librdkafka. Secrets come from files (or the environment), and are never
//! shown.

use std::path::Path;

use super::profile::word;
use super::raw::{Kafka, Security};
use crate::config::Environment;
use crate::config::check::{first_line_of, refuse};
use crate::refusal::Refusal;

/// Properties that are pgtape's own business.
const OURS: &[&str] = &[
    "bootstrap.servers",
    "metadata.broker.list",
    "transactional.id",
    "transaction.timeout.ms",
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "isolation.level",
    "group.id",
    "enable.auto.commit",
    "delivery.report.only.error",
    "message.max.bytes",
    "message.timeout.ms",
    "client.id",
];

/// Secrets, and where they are to be written instead.
const SECRET: &[(&str, &str)] = &[
    ("sasl.password", "name a file in security.password_file, or set PGTAPE_KAFKA_PASSWORD"),
    ("ssl.key.password", "name a file in security.key_password_file"),
    ("ssl.key.pem", "name a file in security.key_file"),
];

/// A text that may be secret: never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// All properties, in the order in which they are laid over each other.
pub(super) fn properties(raw: &Kafka, environment: &Environment, key: &str) -> Result<Vec<(String, Secret)>, Refusal> {
    let mut properties = of_security(&raw.security, environment, &format!("{key}.security"))?;
    for (name, value) in &raw.properties {
        if OURS.contains(&name.as_str()) {
            let what = format!("{name} is pgtape's own business");
            return Err(refuse(&format!("{key}.properties"), what, "leave it out"));
        }
        if let Some((_, hint)) = SECRET.iter().find(|(secret, _)| secret == name) {
            return Err(refuse(&format!("{key}.properties"), format!("{name} is a secret"), hint));
        }
        properties.push((name.clone(), Secret(value.clone())));
    }
    Ok(properties)
}

fn of_security(raw: &Security, environment: &Environment, key: &str) -> Result<Vec<(String, Secret)>, Refusal> {
    let mechanism = word(
        Some(raw.sasl.as_str()),
        None,
        key,
        "sasl",
        &[
            ("", None),
            ("plain", Some("PLAIN")),
            ("scram-sha-256", Some("SCRAM-SHA-256")),
            ("scram-sha-512", Some("SCRAM-SHA-512")),
        ],
    )?;
    let mut properties = Vec::new();
    let mut set = |name: &str, value: String| properties.push((name.to_owned(), Secret(value)));
    let protocol = match (raw.tls, mechanism) {
        (false, None) => "plaintext",
        (true, None) => "ssl",
        (false, Some(_)) => "sasl_plaintext",
        (true, Some(_)) => "sasl_ssl",
    };
    set("security.protocol", protocol.into());
    if let Some(mechanism) = mechanism {
        set("sasl.mechanism", mechanism.into());
        if raw.user.is_empty() {
            return Err(refuse(&format!("{key}.user"), "is empty", "name the user that sasl is to log in"));
        }
        set("sasl.username", raw.user.clone());
        set("sasl.password", password(raw, environment, key)?);
    } else if !raw.user.is_empty() || !raw.password_file.is_empty() {
        let hint = "set sasl to plain, scram-sha-256 or scram-sha-512, or leave user and password_file out";
        return Err(refuse(&format!("{key}.user"), "is of no use without sasl", hint));
    }
    let files = [
        ("ca_file", "ssl.ca.location", &raw.ca_file),
        ("cert_file", "ssl.certificate.location", &raw.cert_file),
        ("key_file", "ssl.key.location", &raw.key_file),
    ];
    for (name, property, path) in files.into_iter().filter(|(_, _, path)| !path.is_empty()) {
        let key = format!("{key}.{name}");
        if !raw.tls {
            return Err(refuse(&key, "is of no use without tls", "set tls = true"));
        }
        std::fs::metadata(path).map_err(|e| refuse(&key, format!("{path}: {e}"), "check path and permissions"))?;
        set(property, path.clone());
    }
    if raw.cert_file.is_empty() != raw.key_file.is_empty() {
        return Err(refuse(&format!("{key}.key_file"), "and cert_file belong together", "name both, or neither"));
    }
    if !raw.key_password_file.is_empty() {
        let line = first_line_of(&format!("{key}.key_password_file"), Path::new(&raw.key_password_file))?;
        set("ssl.key.password", line);
    }
    if raw.verify_host == Some(false) {
        set("ssl.endpoint.identification.algorithm", "none".into());
    }
    Ok(properties)
}

fn password(raw: &Security, environment: &Environment, key: &str) -> Result<String, Refusal> {
    match (&environment.kafka_password, raw.password_file.as_str()) {
        (_, path) if !path.is_empty() => first_line_of(&format!("{key}.password_file"), Path::new(path)),
        (Some(password), _) => Ok(password.clone()),
        (None, _) => {
            let hint = "name a file that holds it, or set PGTAPE_KAFKA_PASSWORD";
            Err(refuse(&format!("{key}.password_file"), "is empty", hint))
        }
    }
}
