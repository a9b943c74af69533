//! From `[[kafka]]` as typed to `[[kafka]]` as checked.

use std::path::Path;
use std::time::Duration;

use super::profile::{form, word};
use super::raw;
use super::registry::registry;
use super::security::{Secret, properties};
use super::{Initial, Kafka, Table, Topics};
use crate::config::Environment;
use crate::config::check::{bad_pattern, first_line_of, refuse};
use crate::model::Pattern;
use crate::refusal::Refusal;

/// Kafka's bound on the names of topics.
const TOPIC_BYTES_MAX: usize = 249;
/// The coordinator's default bound, `transaction.max.timeout.ms`.
const TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);
const TIMEOUT_MIN: Duration = Duration::from_secs(2);
const MESSAGE_BYTES_MIN: u64 = 1 << 10;
const MESSAGE_BYTES_MAX: u64 = 512 << 20;

/// All Kafka sinks.
pub(in crate::config) fn check(all: Vec<raw::Kafka>, environment: &Environment) -> Result<Vec<Kafka>, Refusal> {
    let mut sinks: Vec<Kafka> = Vec::new();
    for raw in all {
        let sink = one(raw, environment)?;
        if sinks.iter().any(|other| other.name == sink.name) {
            return Err(refuse("kafka.name", format!("'{}' is there twice", sink.name), "name each sink once"));
        }
        sinks.push(sink);
    }
    Ok(sinks)
}

fn one(raw: raw::Kafka, environment: &Environment) -> Result<Kafka, Refusal> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    if raw.name.is_empty() || !raw.name.bytes().all(fits) {
        let what = format!("'{}' is not a name", raw.name);
        return Err(refuse("kafka.name", what, "use letters, digits, _ and -"));
    }
    let key = format!("kafka '{}'", raw.name);
    let of = |name: &str| format!("{key}.{name}");
    if raw.brokers.is_empty() {
        return Err(refuse(&of("brokers"), "is empty", "write it as host:9092,host:9092"));
    }
    if !is_topic(&raw.topic_prefix) {
        let what = format!("'{}' cannot begin the name of a topic", raw.topic_prefix);
        return Err(refuse(&of("topic_prefix"), what, "name the source: letters, digits, '.', '_' and '-'"));
    }
    for (name, topic) in [("progress_topic", &raw.progress_topic), ("quarantine_topic", &raw.quarantine_topic)] {
        let has_default = name == "quarantine_topic";
        if !(is_topic(topic) || has_default && topic.is_empty()) {
            return Err(refuse(&of(name), format!("'{topic}' is not a topic"), "letters, digits, '.', '_' and '-'"));
        }
    }
    let initial = word(
        Some(&raw.initial),
        Initial::Copy,
        &key,
        "initial",
        &[("copy", Initial::Copy), ("earliest", Initial::Earliest), ("now", Initial::Now)],
    )?;
    let exactly_once =
        word(Some(&raw.delivery), true, &key, "delivery", &[("exactly-once", true), ("at-least-once", false)])?;
    let stop_when_unfit = word(Some(&raw.unfit), false, &key, "unfit", &[("quarantine", false), ("stop", true)])?;
    let timeout = raw.transaction_timeout.0;
    if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
        let what = format!("{} is out of range", raw.transaction_timeout);
        return Err(refuse(&of("transaction_timeout"), what, "write 2 s to 15 min"));
    }
    if raw.transaction_age.0 >= timeout / 2 {
        let what = format!("{} is too long", raw.transaction_age);
        return Err(refuse(&of("transaction_age"), what, "less than half of transaction_timeout"));
    }
    if !(MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&raw.message_max.0) {
        return Err(refuse(&of("message_max"), format!("{} is out of range", raw.message_max), "1 KiB to 512 MiB"));
    }
    if raw.transaction_records == 0 {
        return Err(refuse(&of("transaction_records"), "is none", "at least one record"));
    }
    if raw.transaction_bytes.0 < raw.message_max.0 {
        return Err(refuse(&of("transaction_bytes"), "is less than one record", "at least message_max"));
    }
    let form = form(&raw, &key)?;
    let mask_secret = secret(&raw, &key)?;
    let outbox = raw.outbox.as_ref();
    let outbox = outbox.map(|outbox| outbox.check(&of("outbox"), environment.password.as_deref())).transpose()?;
    Ok(Kafka {
        outbox,
        registry: registry(&raw, form.format, &key)?,
        form,
        initial,
        exactly_once,
        stop_when_unfit,
        mask_secret,
        properties: properties(&raw, environment, &key)?,
        tables: patterns(&raw.tables, &of("tables"))?,
        exclude: patterns(&raw.exclude, &of("exclude"))?,
        table: raw.table.iter().map(|table| special(table, &of("table"))).collect::<Result<_, _>>()?,
        topic: template(&raw.topic, &of("topic"))?,
        topics: topics(&raw.topics, &of("topics"))?,
        name: raw.name,
        brokers: raw.brokers,
        topic_prefix: raw.topic_prefix,
        progress_topic: raw.progress_topic,
        quarantine_topic: raw.quarantine_topic,
        heartbeat_every: (!raw.heartbeat_every.0.is_zero()).then_some(raw.heartbeat_every.0),
        message_bytes_max: usize::try_from(raw.message_max.0).unwrap_or(usize::MAX),
        transaction_records: u64::from(raw.transaction_records),
        transaction_bytes: raw.transaction_bytes.0,
        transaction_age: raw.transaction_age.0,
        transaction_timeout: timeout,
        linger: raw.linger.0,
    })
}

/// Masks that hash need a secret: without one, a short value is found by trying.
fn secret(raw: &raw::Kafka, key: &str) -> Result<Secret, Refusal> {
    let key = format!("{key}.mask_secret_file");
    let hashes = raw.table.iter().any(|table| table.mask.values().any(|mask| mask == "hash"));
    match (raw.mask_secret_file.as_str(), hashes) {
        ("", false) => Ok(Secret::default()),
        ("", true) => Err(refuse(&key, "is empty", "name a file that holds the secret of masked columns")),
        (path, _) => {
            let line = first_line_of(&key, Path::new(path))?;
            if line.is_empty() { Err(refuse(&key, "holds no secret", "write one line")) } else { Ok(Secret(line)) }
        }
    }
}

fn is_topic(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= TOPIC_BYTES_MAX && name != "." && name != ".." && name.bytes().all(fits)
}

/// The text of a template: its braces hold `prefix`, `schema` or `table`.
fn template(text: &str, key: &str) -> Result<String, Refusal> {
    let rest = ["{prefix}", "{schema}", "{table}"].iter().fold(text.to_owned(), |rest, name| rest.replace(name, ""));
    if text.is_empty() || rest.contains(['{', '}']) {
        return Err(refuse(key, format!("'{text}' names no topic"), "write it as {prefix}.{schema}.{table}"));
    }
    Ok(text.to_owned())
}

fn patterns(texts: &[String], key: &str) -> Result<Vec<Pattern>, Refusal> {
    texts.iter().map(|text| Pattern::parse(text).ok_or_else(|| bad_pattern(key, text))).collect()
}

fn special(raw: &raw::Table, key: &str) -> Result<Table, Refusal> {
    let tables = Pattern::parse(&raw.tables).ok_or_else(|| bad_pattern(key, &raw.tables))?;
    let mask = |(column, how): (&String, &String)| {
        Ok((column.clone(), word(Some(how), false, key, "mask", &[("drop", true), ("hash", false)])?))
    };
    let masks: Result<Vec<(String, bool)>, Refusal> = raw.mask.iter().map(mask).collect();
    let topic = if raw.topic.is_empty() { None } else { Some(template(&raw.topic, key)?) };
    Ok(Table { tables, topic, key: (!raw.key.is_empty()).then(|| raw.key.clone()), masks: masks? })
}

fn topics(raw: &raw::Topics, key: &str) -> Result<Option<Topics>, Refusal> {
    let number = |name: &str, n: u32| {
        let fits = i32::try_from(n).map_err(|_| refuse(&format!("{key}.{name}"), "is too large", "0 for the default"));
        fits.map(|n| (n > 0).then_some(n))
    };
    let made = Topics {
        partitions: number("partitions", raw.partitions)?,
        replication: number("replication", raw.replication)?,
        configs: raw.configs.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
    };
    Ok(raw.create.then_some(made))
}
