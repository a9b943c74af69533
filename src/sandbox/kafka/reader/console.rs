//! Kafka's own console consumer, with a group: what the group has committed says that it came to the end.
//!
//! The consumer ends when nothing came for a moment, and commits how far it is; as long as that is not the end of every
//! partition, it is started again and goes on there. Java's `Bytes` prints printable ASCII as it is, all else and the
//! backslash as `\xNN`: a tab or a newline of the output is a separator, never data.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::super::super::Error;
use super::super::tools::KafkaTools;
use super::Record;

/// Pause after which the consumer ends, and it is looked whether that was the end.
const QUIET_MS: &str = "3000";
/// A coordinator ends a forgotten transaction within a minute; until then its partition has no end.
const AT_MOST: Duration = Duration::from_secs(180);
const BYTES: &str = "org.apache.kafka.common.serialization.BytesDeserializer";
/// Between two headers; within one, the first colon ends the name.
const HEADERS: char = '\x1e';

/// All committed records of `topic`.
pub(in super::super) fn read(tools: &KafkaTools, topic: &str) -> Result<Vec<Record>, Error> {
    let (group, null) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let formatter = [
        "print.partition=true",
        "print.offset=true",
        "print.headers=true",
        "print.key=true",
        &format!("key.deserializer={BYTES}"),
        &format!("value.deserializer={BYTES}"),
        &format!("headers.deserializer={BYTES}"),
        &format!("headers.separator={HEADERS}"),
        &format!("null.literal={null}"),
    ];
    let words = ["--topic", topic, "--group", &group, "--from-beginning", "--timeout-ms", QUIET_MS];
    let mut arguments = [&words[..], &["--isolation-level", "read_committed"]].concat();
    arguments.extend(formatter.iter().flat_map(|property| ["--formatter-property", property]));
    let (started, mut records) = (Instant::now(), Vec::new());
    loop {
        // Its exit code is bad when the time is up, as it always is.
        let printed = tools.try_run("consumer.ConsoleConsumer", &arguments)?;
        for line in printed.stdout.lines() {
            let record = record(line, &null);
            records.push(record.ok_or_else(|| failure("the console consumer printed something else", line))?);
        }
        let left = tools.run("consumer.group.ConsumerGroupCommand", &["--describe", "--group", &group])?;
        if at_end(&left.stdout) {
            records.sort();
            return Ok(records);
        }
        if started.elapsed() > AT_MOST {
            return Err(failure("the console consumer did not come to the end", &(printed.stderr + &left.stdout)));
        }
    }
}

fn failure(what: &str, output: &str) -> Error {
    Error::Program { what: what.into(), output: output.into() }
}

/// Whether a group has read every partition, by the columns `LAG` of its description.
fn at_end(description: &str) -> bool {
    let mut lines = description.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let column = lines.find_map(|words| words.iter().position(|word| *word == "LAG"));
    let lags: Vec<&str> = lines.filter_map(|words| words.get(column?).copied()).collect();
    !lags.is_empty() && lags.iter().all(|lag| *lag == "0")
}

fn record(line: &str, null: &str) -> Option<Record> {
    let mut fields = line.split('\t');
    let partition = fields.next()?.strip_prefix("Partition:")?.parse().ok()?;
    let offset = fields.next()?.strip_prefix("Offset:")?.parse().ok()?;
    let headers = match fields.next()? {
        "NO_HEADERS" => Vec::new(),
        text => text.split(HEADERS).map(|header| self::header(header, null)).collect::<Option<_>>()?,
    };
    let (key, value) = (bytes(fields.next()?, null)?, bytes(fields.next()?, null)?);
    fields.next().is_none().then_some(Record { partition, offset, key, value, headers })
}

fn header(text: &str, null: &str) -> Option<(String, Option<Vec<u8>>)> {
    let (name, value) = text.split_once(':')?;
    Some((name.to_owned(), bytes(value, null)?))
}

/// What Java's `Bytes.toString` made of bytes; the outer `None` when it did not make this.
fn bytes(text: &str, null: &str) -> Option<Option<Vec<u8>>> {
    if text == null {
        return Some(None);
    }
    let (mut made, mut rest) = (Vec::new(), text);
    while let Some((plain, escaped)) = rest.split_once("\\x") {
        made.extend_from_slice(plain.as_bytes());
        made.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
        rest = &escaped[2..];
    }
    made.extend_from_slice(rest.as_bytes());
    Some(Some(made))
}

#[cfg(test)]
mod tests {
    use super::{at_end, record};

    #[test]
    fn any_bytes_come_through() {
        let line = "Partition:2\tOffset:7\th:\\xFF\u{1e}n:NONE\tNONE\ta\\x00\\x5C\\x0A\\xC3\\xA9";
        let read = record(line, "NONE").unwrap();
        assert_eq!((read.partition, read.offset, read.key), (2, 7, None));
        assert_eq!(read.value.unwrap(), b"a\0\\\n\xc3\xa9");
        assert_eq!(read.headers, [("h".to_owned(), Some(vec![0xff])), ("n".to_owned(), None)]);
        assert_eq!(record("Partition:0\tOffset:0\tNO_HEADERS\t\t", "NONE").unwrap().value, Some(Vec::new()));
        for broken in ["", "Processed a total of 3 messages", "Partition:0\tOffset:0\tNO_HEADERS\ta\tb\tc"] {
            assert_eq!(record(broken, "NONE"), None, "{broken}");
        }
    }

    #[test]
    fn the_end_is_when_nothing_lags() {
        let lags = |first: &str, second: &str| {
            let line = |partition: u32, lag: &str| format!("g t {partition} 5 5 {lag} - - -\n");
            at_end(&format!(
                "\nGROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\n{}{}",
                line(0, first),
                line(1, second)
            ))
        };
        assert!(lags("0", "0"));
        assert!(!lags("0", "1"));
        assert!(!lags("0", "-"));
        assert!(!at_end(""));
    }
}
