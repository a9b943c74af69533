//! Reads a topic back with programs that share no code with our producer.
//!
//! Invariant: a reader returns every committed record up to the topic's end, or an error; it never ends because nothing
//! came for a while. Keys, values and values of headers may be any bytes.

pub(super) mod console;
pub(super) mod kcat;

use super::super::Error;

/// Reads with `kcat`: needs no jars.
#[derive(Debug, Clone)]
pub struct KafkaReader {
    bootstrap: String,
}

impl KafkaReader {
    /// Goes to `bootstrap`.
    #[must_use]
    pub fn new(bootstrap: String) -> Self {
        Self { bootstrap }
    }

    /// Where it goes to.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The names of all topics but the broker's own.
    ///
    /// # Errors
    /// There is no kcat, or the broker did not answer.
    pub fn topics(&self) -> Result<Vec<String>, Error> {
        kcat::topics(&self.bootstrap)
    }

    /// All committed records of a topic up to its end, by partition and offset.
    ///
    /// # Errors
    /// There is no kcat, no broker or no topic.
    pub fn read(&self, topic: &str) -> Result<Vec<Record>, Error> {
        kcat::read(&self.bootstrap, topic)
    }
}

/// A record as a reader found it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The partition it is in.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key; `None`: Kafka's null.
    pub key: Option<Vec<u8>>,
    /// Its value; `None`: Kafka's null.
    pub value: Option<Vec<u8>>,
    /// Its headers, in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// The first header of this name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(found.1.as_deref()?).ok()
    }

    /// Its value as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        self.value.as_deref().and_then(|value| serde_json::from_slice(value).ok()).unwrap_or_default()
    }
}
