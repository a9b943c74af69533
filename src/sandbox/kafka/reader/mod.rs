//! Reads a topic back with programs that share no code with our producer.
//!
//! Invariant: a reader returns every committed record up to the topic's end, or an error; it never ends because nothing
//! came for a while. Keys, values and values of headers may be any bytes.

pub(super) mod console;
pub(super) mod kcat;

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
