//! The `source` block: where a change comes from.

use super::text::{put_number, put_optional, put_optional_str, put_str};
use crate::model::{Lsn, TableName};

/// What is said of every record of a connector. Made once; holds ready bytes.
#[derive(Debug, Clone)]
pub struct Connector {
    /// `{"version":..,"connector":"postgresql","name":..,"ts_ms":`
    head: Vec<u8>,
    /// `,"db":..,"sequence":`
    database: Vec<u8>,
}

impl Connector {
    /// `version` is what `source.version` says, `name` the topic prefix.
    #[must_use]
    pub fn new(version: &str, name: &str, database: &str) -> Self {
        let mut head = b"{\"version\":".to_vec();
        put_str(version, &mut head);
        head.extend_from_slice(b",\"connector\":\"postgresql\",\"name\":");
        put_str(name, &mut head);
        head.extend_from_slice(b",\"ts_ms\":");
        let mut middle = b",\"db\":".to_vec();
        put_str(database, &mut middle);
        middle.extend_from_slice(b",\"sequence\":");
        Self { head, database: middle }
    }
}

/// Whether a record is of a snapshot, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Snapshot {
    /// It is of the stream.
    #[default]
    No,
    /// Somewhere in it.
    Yes,
    /// The snapshot's first.
    First,
    /// A table's first.
    FirstInTable,
    /// A table's last.
    LastInTable,
    /// The snapshot's last.
    Last,
    /// Of an incremental snapshot.
    Incremental,
}

impl Snapshot {
    const fn name(self) -> &'static str {
        match self {
            Snapshot::No => "false",
            Snapshot::Yes => "true",
            Snapshot::First => "first",
            Snapshot::FirstInTable => "first_in_data_collection",
            Snapshot::LastInTable => "last_in_data_collection",
            Snapshot::Last => "last",
            Snapshot::Incremental => "incremental",
        }
    }
}

/// Where and when a change happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Commit time of its transaction, microseconds since the Unix epoch.
    pub commit_time_us: i64,
    /// Whether it was read from a table and not from the stream.
    pub snapshot: Snapshot,
    /// End of the last commit before it; `None` before any.
    pub last_commit: Option<Lsn>,
    /// The change's own LSN.
    pub lsn: Lsn,
    /// Its transaction.
    pub xid: Option<u32>,
    /// Where the transaction was replicated from: name and commit LSN there.
    pub origin: Option<(&'a str, Lsn)>,
}

/// Ready bytes of a table: `,"schema":..,"table":..,"txId":`.
pub(super) fn table_part(table: &TableName) -> Vec<u8> {
    let mut out = Vec::new();
    put_table_part(&table.schema, &table.name, &mut out);
    out
}

fn put_table_part(schema: &str, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"schema\":");
    put_str(schema, out);
    out.extend_from_slice(b",\"table\":");
    put_str(name, out);
    out.extend_from_slice(b",\"txId\":");
}

/// Appends the block of a change to no table: a logical message.
pub(super) fn put_source_without_table(connector: &Connector, place: &Place<'_>, out: &mut Vec<u8>) {
    put_source(connector, b",\"schema\":\"\",\"table\":\"\",\"txId\":", place, out);
}

/// Appends the block; `table` is of [`table_part`].
pub(super) fn put_source(connector: &Connector, table: &[u8], place: &Place<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&connector.head);
    put_number(milliseconds(place.commit_time_us), out);
    out.extend_from_slice(b",\"snapshot\":\"");
    out.extend_from_slice(place.snapshot.name().as_bytes());
    out.push(b'"');
    out.extend_from_slice(&connector.database);
    put_sequence(place.last_commit, place.lsn, out);
    out.extend_from_slice(b",\"ts_us\":");
    put_number(place.commit_time_us, out);
    out.extend_from_slice(b",\"ts_ns\":");
    put_number(nanoseconds(place.commit_time_us), out);
    out.extend_from_slice(table);
    put_optional(place.xid, out);
    out.extend_from_slice(b",\"lsn\":");
    put_number(place.lsn.0, out);
    out.extend_from_slice(b",\"xmin\":null,\"origin\":");
    put_optional_str(place.origin.map(|(name, _)| name), out);
    out.extend_from_slice(b",\"origin_lsn\":");
    put_optional(place.origin.map(|(_, lsn)| lsn.0), out);
    out.push(b'}');
}

/// Appends a string that holds JSON: end of the last commit, LSN of the change.
fn put_sequence(last_commit: Option<Lsn>, lsn: Lsn, out: &mut Vec<u8>) {
    match last_commit {
        Some(Lsn(last)) => put_number(format_args!("\"[\\\"{last}\\\",\\\"{}\\\"]\"", lsn.0), out),
        None => put_number(format_args!("\"[null,\\\"{}\\\"]\"", lsn.0), out),
    }
}

/// Rounded towards the past, as Java does.
pub(super) const fn milliseconds(time_us: i64) -> i64 {
    time_us.div_euclid(1_000)
}

/// Wider than Java's 64 bits, which end in the year 2262.
pub(super) const fn nanoseconds(time_us: i64) -> i128 {
    time_us as i128 * 1_000
}
