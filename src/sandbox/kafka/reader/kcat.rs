//! `kcat -J`: one JSON object a record, up to the last stable offset of each partition.
//!
//! It writes bytes into its strings as they are, valid UTF-8 or not, and escapes only what JSON must. So its output is
//! read as Latin-1, a character a byte, and each string is made bytes again.

use std::process::Command;

use serde_json::Value;

use super::super::super::Error;
use super::super::programs::{need, succeeded_raw};
use super::Record;

/// Topics that a broker makes for itself.
const OF_THE_BROKER: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// The names of all topics but the broker's own.
pub(in super::super) fn topics(bootstrap: &str) -> Result<Vec<String>, Error> {
    need("kcat", "kcat")?;
    let mut command = Command::new("kcat");
    command.args(["-L", "-J", "-b", bootstrap]);
    let printed = succeeded_raw("kcat", command)?;
    let listed: Value = serde_json::from_slice(&printed).unwrap_or_default();
    let topics = listed["topics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = topics.iter().filter_map(|topic| topic["topic"].as_str());
    Ok(names.filter(|name| !OF_THE_BROKER.contains(name)).map(str::to_owned).collect())
}

/// All committed records of `topic`.
pub(in super::super) fn read(bootstrap: &str, topic: &str) -> Result<Vec<Record>, Error> {
    need("kcat", "kcat")?;
    let mut command = Command::new("kcat");
    command.args(["-C", "-J", "-e", "-q", "-b", bootstrap, "-t", topic, "-o", "beginning"]);
    command.args(["-X", "isolation.level=read_committed", "-X", "topic.auto.offset.reset=error"]);
    let printed = succeeded_raw("kcat", command)?;
    let lines = printed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut records = lines.map(record).collect::<Result<Vec<_>, _>>()?;
    records.sort();
    Ok(records)
}

fn record(line: &[u8]) -> Result<Record, Error> {
    let latin: String = line.iter().map(|byte| char::from(*byte)).collect();
    let unreadable =
        || Error::Program { what: "kcat printed something else than records".into(), output: latin.clone() };
    let parsed: Value = serde_json::from_str(&latin).map_err(|_error| unreadable())?;
    parse(&parsed).ok_or_else(unreadable)
}

fn parse(parsed: &Value) -> Option<Record> {
    let headers = parsed.get("headers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let header = |pair: &[Value]| Some((String::from_utf8(bytes(&pair[0])??).ok()?, bytes(&pair[1])?));
    Some(Record {
        partition: parsed["partition"].as_i64()?.try_into().ok()?,
        offset: parsed["offset"].as_i64()?,
        key: bytes(&parsed["key"])?,
        value: bytes(&parsed["payload"])?,
        headers: headers.chunks_exact(2).map(header).collect::<Option<_>>()?,
    })
}

/// A string as the bytes that were printed; the outer `None` when it is no string.
fn bytes(value: &Value) -> Option<Option<Vec<u8>>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.chars().map(u8::try_from).collect::<Result<_, _>>().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::record;

    #[test]
    fn any_bytes_come_through() {
        let line = b"{\"topic\":\"t\",\"partition\":2,\"offset\":7,\"headers\":[\"h\",\"\xff\",\"n\",null],\
            \"key\":null,\"payload\":\"a\\u0000\\\"\\n\xc3\xa9\xff\"}";
        let read = record(line).unwrap();
        assert_eq!((read.partition, read.offset, read.key), (2, 7, None));
        assert_eq!(read.value.unwrap(), b"a\0\"\n\xc3\xa9\xff");
        assert_eq!(read.headers, [("h".to_owned(), Some(vec![0xff])), ("n".to_owned(), None)]);
        assert!(record(b"% Reached end").is_err());
    }
}
