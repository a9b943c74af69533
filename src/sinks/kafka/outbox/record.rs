//! The record of an event: its topic, key, value and headers.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::parked::Aggregate;
use crate::config::{KafkaOutbox, TYPE_PLACE};
use crate::model::Position;
use crate::sinks::Error;
use crate::sinks::kafka::feed::{Out, Produce, PutError};
use crate::sinks::kafka::topic;

/// Why it went there, in the dead-letter topic.
pub const REASON_HEADER: &str = "pgtape.reason";
/// How often it was tried, there.
pub const ATTEMPTS_HEADER: &str = "pgtape.attempts";
/// The topic it was for, there.
pub const TOPIC_HEADER: &str = "pgtape.topic";
/// A record of the dead-letter topic says its aggregate's type.
pub const AGGREGATE_TYPE_HEADER: &str = "aggregateType";

/// The number of an event among the records of its change, and that of its dead letter.
const PARTS: (u64, u64) = (0, 1);

/// An event as it is produced.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    pub id: &'a str,
    pub aggregate: &'a Aggregate,
    pub event_type: Option<&'a str>,
    pub payload: Option<&'a [u8]>,
    pub headers: Option<&'a str>,
    pub at: Position,
}

/// Whether the record was taken.
pub enum Put {
    Taken,
    /// Others can be; why this one could not. Holds no value.
    Unfit(String),
}

/// Produces an event to the topic of its aggregate's type.
pub fn put(event: &Event<'_>, settings: &KafkaOutbox, out: &mut dyn Out) -> Result<Put, Error> {
    let Some(kind) = &event.aggregate.kind else {
        return Ok(Put::Unfit(format!("{} is NULL", settings.columns.aggregate_type)));
    };
    let own = match own_headers(event.headers) {
        Ok(own) => own,
        Err(why) => {
            let column = settings.columns.headers.as_deref().unwrap_or("headers");
            return Ok(Put::Unfit(format!("{column} {why}")));
        }
    };
    let mut headers: Vec<(&str, &[u8])> = vec![("id", event.id.as_bytes())];
    headers.extend(event.event_type.map(|kind| ("eventType", kind.as_bytes())));
    headers.extend(own.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    let topic = topic_of(&settings.topic, kind);
    produce(event, &topic, event.payload, &headers, PARTS.0, out)
}

/// Produces an event that is given up to the dead-letter topic; without its payload if that does not fit.
pub fn put_dead(
    event: &Event<'_>,
    (reason, attempts): (&str, u32),
    settings: &KafkaOutbox,
    out: &mut dyn Out,
) -> Result<Put, Error> {
    let own = own_headers(event.headers).unwrap_or_default();
    let attempts = attempts.to_string();
    let kind = event.aggregate.kind.as_deref();
    let topic = kind.map(|kind| topic_of(&settings.topic, kind));
    let mut headers: Vec<(&str, &[u8])> = vec![("id", event.id.as_bytes())];
    headers.extend(event.event_type.map(|kind| ("eventType", kind.as_bytes())));
    headers.extend(kind.map(|kind| (AGGREGATE_TYPE_HEADER, kind.as_bytes())));
    headers.push((REASON_HEADER, reason.as_bytes()));
    headers.push((ATTEMPTS_HEADER, attempts.as_bytes()));
    headers.extend(topic.as_ref().map(|topic| (TOPIC_HEADER, topic.as_bytes())));
    let facts = headers.len();
    headers.extend(own.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    match produce(event, &settings.dead_letter, event.payload, &headers, PARTS.1, out)? {
        Put::Taken => Ok(Put::Taken),
        Put::Unfit(_) => produce(event, &settings.dead_letter, None, &headers[..facts], PARTS.1, out),
    }
}

fn produce(
    event: &Event<'_>,
    topic: &str,
    value: Option<&[u8]>,
    headers: &[(&str, &[u8])],
    part: u64,
    out: &mut dyn Out,
) -> Result<Put, Error> {
    let key = event.aggregate.id.as_deref().map(str::as_bytes);
    match out.put(&Produce { topic, key, value, headers, position: event.at, part }) {
        Ok(()) => Ok(Put::Taken),
        Err(PutError::Unfit(why)) => Ok(Put::Unfit(why)),
        Err(PutError::Ended(error)) => Err(error),
    }
}

/// The topic for aggregates of a type.
fn topic_of(template: &str, kind: &str) -> String {
    topic::allowed(&template.replace(TYPE_PLACE, kind))
}

/// A JSON object as headers: strings as they are, other values as their JSON text.
fn own_headers(text: Option<&str>) -> Result<Vec<(String, String)>, &'static str> {
    let refused = |_| "is not a JSON object of headers";
    let Some(members) = serde_json::from_str::<Option<Members<'_>>>(text.unwrap_or("null")).map_err(refused)? else {
        return Ok(Vec::new());
    };
    let is_free = |(name, _): &(String, &RawValue)| !is_ours(name);
    let as_text = |(name, value): (String, &RawValue)| match value.get().starts_with('"') {
        true => Ok((name, serde_json::from_str(value.get()).map_err(refused)?)),
        false => Ok((name, value.get().to_owned())),
    };
    members.0.into_iter().filter(is_free).map(as_text).collect()
}

/// Names of headers by which readers know an event: a row's own of these names are left out.
fn is_ours(name: &str) -> bool {
    matches!(name, "id" | "eventType") || name.starts_with("pgtape.")
}

/// The members of a JSON object in their order, values unread: a number keeps every digit.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_becomes_a_topic_that_kafka_allows() {
        let check = |kind: &str, want: &str| assert_eq!(topic_of("outbox.event.{aggregate_type}", kind), want);
        check("order", "outbox.event.order");
        check("Spot Order/ü", "outbox.event.Spot_Order__");
        check("{aggregate_type}", "outbox.event._aggregate_type_");
    }

    #[test]
    fn headers_are_texts_or_the_text_of_their_json() {
        let check = |text: Option<&str>, want: Result<&[(&str, &str)], &str>| {
            let got = own_headers(text);
            let got = got.as_ref().map(|own| own.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>());
            assert_eq!(got.map_err(|why| *why), want.map(<[_]>::to_vec), "{text:?}");
        };
        check(None, Ok(&[]));
        check(Some("null"), Ok(&[]));
        let several = r#"{"b":"x\n","a":12345678901234567890.50,"n":null,"o":{"k":[true]},"e":""}"#;
        let number = ("a", "12345678901234567890.50");
        check(Some(several), Ok(&[("b", "x\n"), number, ("n", "null"), ("o", r#"{"k":[true]}"#), ("e", "")]));
        let ours = r#"{"id":"x","eventType":"y","pgtape.position":"z","ids":"w"}"#;
        check(Some(ours), Ok(&[("ids", "w")]));
        check(Some("[1]"), Err("is not a JSON object of headers"));
        check(Some("{"), Err("is not a JSON object of headers"));
    }
}
