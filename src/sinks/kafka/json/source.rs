//! The `source` block.

use super::text::{put_number, put_optional, put_optional_str, put_str};
use crate::model::{Lsn, TableName};
use crate::sinks::kafka::encode::{Connector, Place, milliseconds, nanoseconds};

/// Ready bytes of the block of a table's changes.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// `{"version":..,"connector":"postgresql","name":..,"ts_ms":`
    head: Vec<u8>,
    /// `,"db":..,"sequence":`
    database: Vec<u8>,
    /// `,"schema":..,"table":..,"txId":`
    table: Vec<u8>,
}

impl Source {
    /// The block of a table's changes, or of changes to no table: logical messages.
    pub(super) fn new(connector: &Connector, table: Option<&TableName>) -> Self {
        let (schema, name) = table.map_or(("", ""), |table| (&table.schema, &table.name));
        Self {
            head: joined(
                &[("{\"version\":", &connector.version), (",\"connector\":\"postgresql\",\"name\":", &connector.name)],
                ",\"ts_ms\":",
            ),
            database: joined(&[(",\"db\":", &connector.database)], ",\"sequence\":"),
            table: joined(&[(",\"schema\":", schema), (",\"table\":", name)], ",\"txId\":"),
        }
    }

    /// Appends the block.
    pub(super) fn put(&self, place: &Place<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        put_number(milliseconds(place.commit_time_us), out);
        out.extend_from_slice(b",\"snapshot\":\"");
        out.extend_from_slice(place.snapshot.name().as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.database);
        put_sequence(place.last_commit, place.lsn, out);
        out.extend_from_slice(b",\"ts_us\":");
        put_number(place.commit_time_us, out);
        out.extend_from_slice(b",\"ts_ns\":");
        put_number(nanoseconds(place.commit_time_us), out);
        out.extend_from_slice(&self.table);
        put_optional(place.xid, out);
        out.extend_from_slice(b",\"lsn\":");
        put_number(place.lsn.0, out);
        out.extend_from_slice(b",\"xmin\":null,\"origin\":");
        put_optional_str(place.origin.map(|(name, _)| name), out);
        out.extend_from_slice(b",\"origin_lsn\":");
        put_optional(place.origin.map(|(_, lsn)| lsn.0), out);
        out.push(b'}');
    }
}

/// Labels with their strings, and what follows.
fn joined(fields: &[(&str, &str)], end: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (label, text) in fields {
        out.extend_from_slice(label.as_bytes());
        put_str(text, &mut out);
    }
    out.extend_from_slice(end.as_bytes());
    out
}

/// Appends a string that holds JSON: end of the last commit, LSN of the change.
fn put_sequence(last_commit: Option<Lsn>, lsn: Lsn, out: &mut Vec<u8>) {
    match last_commit {
        Some(Lsn(last)) => {
            out.extend_from_slice(b"\"[\\\"");
            put_number(last, out);
            out.extend_from_slice(b"\\\",\\\"");
        }
        None => out.extend_from_slice(b"\"[null,\\\""),
    }
    put_number(lsn.0, out);
    out.extend_from_slice(b"\\\"]\"");
}
