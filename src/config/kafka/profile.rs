//! Ready-made forms for those who read the topics.

use super::raw::Kafka;
use super::{Decimals, Form, Format, Times, Truncate};
use crate::config::check::refuse;
use crate::refusal::Refusal;

/// pgtape's own: Debezium's envelope, but nothing is made up.
const OWN: Form = Form {
    format: Format::Json,
    schemas: false,
    strict: false,
    decimals: Decimals::Text,
    times: Times::Adaptive,
    iso_intervals: false,
    truncate: Truncate::Event,
    tombstones: true,
    messages: true,
    transactions: false,
    whole_rows: false,
};

/// The profile, with what the configuration says beside it.
pub(super) fn form(raw: &Kafka, key: &str) -> Result<Form, Refusal> {
    let base = match raw.profile.as_str() {
        "" => OWN,
        // As Debezium does by default: fillers, exact numbers as bytes, no event of a TRUNCATE.
        "debezium" => Form { strict: true, decimals: Decimals::Precise, truncate: Truncate::Skip, ..OWN },
        // Flink needs whole old rows, and ends a job at `t`.
        "flink" => Form {
            whole_rows: true,
            truncate: Truncate::Deletes,
            times: Times::IsoString,
            iso_intervals: true,
            tombstones: false,
            ..OWN
        },
        "plain" => Form { format: Format::Plain, times: Times::IsoString, iso_intervals: true, ..OWN },
        other => {
            let what = format!("'{other}' is not a profile");
            return Err(refuse(&format!("{key}.profile"), what, "there are debezium, flink and plain"));
        }
    };
    let format = word(
        raw.format.as_deref(),
        base.format,
        key,
        "format",
        &[("json", Format::Json), ("plain", Format::Plain), ("avro", Format::Avro)],
    )?;
    let schemas = raw.schemas.unwrap_or(base.schemas);
    if schemas && format != Format::Json {
        return Err(refuse(&format!("{key}.schemas"), "is for JSON", "set format = \"json\", or leave it out"));
    }
    Ok(Form {
        format,
        schemas,
        strict: word(raw.compat.as_deref(), base.strict, key, "compat", &[("strict", true), ("honest", false)])?,
        decimals: word(
            raw.decimals.as_deref(),
            base.decimals,
            key,
            "decimals",
            &[("text", Decimals::Text), ("precise", Decimals::Precise), ("double", Decimals::Double)],
        )?,
        times: word(
            raw.times.as_deref(),
            base.times,
            key,
            "times",
            &[("adaptive", Times::Adaptive), ("microseconds", Times::Microseconds), ("isostring", Times::IsoString)],
        )?,
        iso_intervals: word(
            raw.intervals.as_deref(),
            base.iso_intervals,
            key,
            "intervals",
            &[("microseconds", false), ("isostring", true)],
        )?,
        truncate: word(
            raw.truncate.as_deref(),
            base.truncate,
            key,
            "truncate",
            &[
                ("event", Truncate::Event),
                ("deletes", Truncate::Deletes),
                ("skip", Truncate::Skip),
                ("stop", Truncate::Stop),
            ],
        )?,
        tombstones: raw.tombstones.unwrap_or(base.tombstones),
        messages: raw.messages.unwrap_or(base.messages),
        transactions: raw.transactions.unwrap_or(base.transactions),
        whole_rows: base.whole_rows,
    })
}

/// One of a few words; `default` when none is said.
pub(super) fn word<T: Copy>(
    said: Option<&str>,
    default: T,
    key: &str,
    name: &str,
    words: &[(&str, T)],
) -> Result<T, Refusal> {
    let Some(said) = said else { return Ok(default) };
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    words.iter().find(|(word, _)| *word == said).map(|(_, meaning)| *meaning).ok_or_else(|| {
        refuse(&format!("{key}.{name}"), format!("'{said}' is not known"), &format!("write {}", known.join(", ")))
    })
}
