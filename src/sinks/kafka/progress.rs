//! The progress record: how far a sink has come, as it stands in the progress topic. Pure.
//!
//! | key | value |
//! |---|---|
//! | `<id>` | [`Progress`] as JSON, the last record of each Kafka transaction |
//! | `<id>/instance` | who works as this sink: written first by each session, and read back |
//! | `<id>/note/<key>` | what the feed must know after a restart |

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::{Lsn, Position};
use crate::sinks::cursor::Identity;

/// Format of the record.
const VERSION: u32 = 1;

/// How far a sink has come, on whose tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Whose positions these are.
    pub identity: Identity,
    /// The epoch of the position.
    pub epoch: u32,
    /// Every change up to here has been produced. Within a transaction that was too large for one Kafka transaction, the
    /// last change that was.
    pub position: Position,
    /// Whether the rows of a copy are being produced; then `position.op` is the number of rows done.
    pub copying: bool,
    /// End of the last source transaction before the position, if one was seen.
    pub last_commit: Option<Lsn>,
    /// Its commit time, microseconds since the Unix epoch; 0 before the first.
    pub commit_time_us: i64,
    /// How often an operator moved it.
    pub moves: u64,
    /// Records produced since the progress began.
    pub records: u64,
    /// Records that went into quarantine instead, ever.
    pub quarantined: u64,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    system_id: String,
    timeline: u32,
    publication: String,
    epoch: u32,
    position: String,
    #[serde(default)]
    copying: bool,
    last_commit: Option<String>,
    commit_time_us: i64,
    moves: u64,
    records: u64,
    quarantined: u64,
}

/// A progress record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the progress record of the sink cannot be read: {0}")]
pub struct Unreadable(String);

impl Progress {
    /// The same stand, with what was counted meanwhile.
    #[must_use]
    pub fn counting(&self, counted: &Self) -> Self {
        Self { records: counted.records, quarantined: counted.quarantined, ..self.clone() }
    }

    /// As the value of its record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            version: VERSION,
            system_id: self.identity.system_id.to_string(),
            timeline: self.identity.timeline,
            publication: format!("{:016x}", self.identity.fingerprint),
            epoch: self.epoch,
            position: self.position.to_string(),
            copying: self.copying,
            last_commit: self.last_commit.map(|lsn| lsn.to_string()),
            commit_time_us: self.commit_time_us,
            moves: self.moves,
            records: self.records,
            quarantined: self.quarantined,
        };
        serde_json::to_vec(&wire).expect("texts and numbers are always JSON")
    }

    /// From the value of its record.
    pub fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        let wire: Wire = serde_json::from_slice(value).map_err(|error| Unreadable(error.to_string()))?;
        if wire.version != VERSION {
            return Err(Unreadable(format!("it is of version {}, which this pgtape does not know", wire.version)));
        }
        let field = |name: &str| Unreadable(format!("its {name} is none"));
        let system_id = wire.system_id.parse().map_err(|_| field("system_id"))?;
        let fingerprint = u64::from_str_radix(&wire.publication, 16).map_err(|_| field("publication"))?;
        let last_commit = wire.last_commit.as_deref().map(Lsn::from_str).transpose();
        Ok(Self {
            identity: Identity { system_id, timeline: wire.timeline, fingerprint },
            epoch: wire.epoch,
            position: wire.position.parse().map_err(|_| field("position"))?,
            copying: wire.copying,
            last_commit: last_commit.map_err(|_| field("last_commit"))?,
            commit_time_us: wire.commit_time_us,
            moves: wire.moves,
            records: wire.records,
            quarantined: wire.quarantined,
        })
    }
}

/// The keys of a sink's records in the progress topic.
#[derive(Debug, Clone)]
pub struct Keys {
    id: String,
}

/// What a record of the progress topic is to a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key<'a> {
    /// Its progress.
    Progress,
    /// Who works as this sink.
    Instance,
    /// A note of its feed.
    Note(&'a str),
}

impl Keys {
    /// Of the sink with this id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    /// The key of the progress record.
    #[must_use]
    pub fn progress(&self) -> &str {
        &self.id
    }

    /// The key of the record that says who works as this sink.
    #[must_use]
    pub fn instance(&self) -> String {
        format!("{}/instance", self.id)
    }

    /// The key of a note.
    #[must_use]
    pub fn note(&self, key: &str) -> String {
        format!("{}/note/{key}", self.id)
    }

    /// What `key` is to the sink; `None`: it belongs to another.
    #[must_use]
    pub fn of<'a>(&self, key: &'a [u8]) -> Option<Key<'a>> {
        match std::str::from_utf8(key).ok()?.strip_prefix(&self.id)? {
            "" => Some(Key::Progress),
            "/instance" => Some(Key::Instance),
            rest => rest.strip_prefix("/note/").map(Key::Note),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_goes_there_and_back() {
        let progress = Progress {
            identity: Identity { system_id: u64::MAX, timeline: 2, fingerprint: 0xAB },
            epoch: 3,
            position: Position::at(Lsn(0x16B_3748), 7),
            copying: true,
            last_commit: Some(Lsn(0x16B_3700)),
            commit_time_us: -1,
            moves: 1,
            records: 9,
            quarantined: 4,
        };
        assert_eq!(Progress::decode(&progress.encode()), Ok(progress.clone()));
        assert_eq!(
            Progress::decode(&Progress { last_commit: None, ..progress.clone() }.encode()).unwrap().last_commit,
            None
        );
        let text = String::from_utf8(progress.encode()).unwrap();
        let check = |from: &str, to: &str, want: &str| {
            let error = Progress::decode(text.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        };
        check("\"version\":1", "\"version\":2", "version 2");
        check("0000000007", "7", "position");
        check("{", "", "cannot be read");
    }

    #[test]
    fn keys_are_told_apart_from_those_of_sinks_with_longer_names() {
        let keys = Keys::new("p.kafka");
        assert_eq!(keys.of(keys.progress().as_bytes()), Some(Key::Progress));
        assert_eq!(keys.of(keys.instance().as_bytes()), Some(Key::Instance));
        assert_eq!(keys.of(keys.note("a/b").as_bytes()), Some(Key::Note("a/b")));
        for other in ["p.kafka2", "p.kafk", "p.kafka2/instance", "p.kafka/other"] {
            assert_eq!(keys.of(other.as_bytes()), None, "{other}");
        }
        assert_eq!(keys.of(b"\xff"), None);
    }
}
