//! What stands around a row: the envelope, its times, and the transaction block; and records without rows: logical
//! messages, the transaction topic, heartbeats.

use super::records::Records;
use super::source::{Connector, Place, milliseconds, nanoseconds, put_source_without_table};
use super::text::{put_base64, put_number, put_str};
use crate::model::{Lsn, TableName};
use crate::pgoutput::Logical;

/// What a record says besides its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// Where and when the change happened.
    pub place: Place<'a>,
    /// When the record is written, microseconds since the Unix epoch.
    pub written_us: i64,
    /// Its number within its transaction, where transaction metadata is on.
    pub transaction: Option<InTransaction>,
}

/// A transaction, by the name that its records share: `<xid>:<lsn>`. Debezium takes the LSN of the first change for the
/// begin and for the changes, and that of the commit's end for the end: who matches them looks at the xid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionId {
    /// Its xid.
    pub xid: u32,
    /// One of its LSNs.
    pub lsn: Lsn,
}

/// A change's numbers within its transaction, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InTransaction {
    /// The transaction.
    pub id: TransactionId,
    /// Number among all its changes.
    pub total_order: u64,
    /// Number among its changes of the same table.
    pub table_order: u64,
}

impl InTransaction {
    /// The numbers of the change after it, in the same table.
    pub(super) const fn next(self) -> Self {
        Self { id: self.id, total_order: self.total_order + 1, table_order: self.table_order + 1 }
    }
}

/// Appends `,"transaction":..,"op":..,"ts_ms":..,"ts_us":..,"ts_ns":..}`: what follows `source`.
pub(super) fn put_tail(op: u8, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"transaction\":");
    put_transaction_block(stamp.transaction, out);
    out.extend_from_slice(b",\"op\":\"");
    out.push(op);
    out.extend_from_slice(b"\",\"ts_ms\":");
    put_number(milliseconds(stamp.written_us), out);
    out.extend_from_slice(b",\"ts_us\":");
    put_number(stamp.written_us, out);
    out.extend_from_slice(b",\"ts_ns\":");
    put_number(nanoseconds(stamp.written_us), out);
    out.push(b'}');
}

fn put_transaction_block(transaction: Option<InTransaction>, out: &mut Vec<u8>) {
    let Some(InTransaction { id, total_order, table_order }) = transaction else {
        return out.extend_from_slice(b"null");
    };
    out.extend_from_slice(b"{\"id\":");
    put_transaction_id(id, out);
    out.extend_from_slice(b",\"total_order\":");
    put_number(total_order, out);
    out.extend_from_slice(b",\"data_collection_order\":");
    put_number(table_order, out);
    out.push(b'}');
}

fn put_transaction_id(TransactionId { xid, lsn }: TransactionId, out: &mut Vec<u8>) {
    put_number(format_args!("\"{xid}:{}\"", lsn.0), out);
}

/// Appends the record of a logical message, for the topic of messages.
pub fn put_message(connector: &Connector, message: &Logical<'_>, stamp: &Stamp<'_>, records: &mut Records) {
    let key = records.sure_part(|out| {
        out.extend_from_slice(b"{\"prefix\":");
        put_str(message.prefix, out);
        out.push(b'}');
    });
    let value = records.sure_part(|out| {
        out.extend_from_slice(b"{\"op\":\"m\",\"ts_ms\":");
        put_number(milliseconds(stamp.written_us), out);
        out.extend_from_slice(b",\"source\":");
        put_source_without_table(connector, &stamp.place, out);
        out.extend_from_slice(b",\"transaction\":");
        put_transaction_block(stamp.transaction, out);
        out.extend_from_slice(b",\"message\":{\"prefix\":");
        put_str(message.prefix, out);
        out.extend_from_slice(b",\"content\":");
        put_base64(message.content, out);
        out.extend_from_slice(b"}}");
    });
    records.push(Some(key), Some(value), None);
}

/// Appends the record of a transaction's begin, for the topic of transactions.
pub fn put_begin(id: TransactionId, commit_time_us: i64, records: &mut Records) {
    put_border(id, commit_time_us, records, |out| {
        out.extend_from_slice(b"{\"status\":\"BEGIN\",\"id\":");
        put_transaction_id(id, out);
        out.extend_from_slice(b",\"event_count\":null,\"data_collections\":null");
    });
}

/// Appends the record of a transaction's end, with the number of changes of each table in the order given.
pub fn put_end<'a>(
    id: TransactionId,
    commit_time_us: i64,
    tables: impl Iterator<Item = (&'a TableName, u64)> + Clone,
    records: &mut Records,
) {
    put_border(id, commit_time_us, records, |out| {
        out.extend_from_slice(b"{\"status\":\"END\",\"id\":");
        put_transaction_id(id, out);
        out.extend_from_slice(b",\"event_count\":");
        put_number(tables.clone().map(|(_, count)| count).sum::<u64>(), out);
        out.extend_from_slice(b",\"data_collections\":[");
        for (at, (table, count)) in tables.enumerate() {
            out.extend_from_slice(if at == 0 { b"" } else { b"," });
            out.extend_from_slice(b"{\"data_collection\":");
            put_str(&table.to_string(), out);
            out.extend_from_slice(b",\"event_count\":");
            put_number(count, out);
            out.push(b'}');
        }
        out.push(b']');
    });
}

fn put_border(id: TransactionId, time_us: i64, records: &mut Records, put_head: impl FnOnce(&mut Vec<u8>)) {
    let key = records.sure_part(|out| {
        out.extend_from_slice(b"{\"id\":");
        put_transaction_id(id, out);
        out.push(b'}');
    });
    let value = records.sure_part(|out| {
        put_head(out);
        out.extend_from_slice(b",\"ts_ms\":");
        put_number(milliseconds(time_us), out);
        out.push(b'}');
    });
    records.push(Some(key), Some(value), None);
}

/// Appends a heartbeat, for the topic of heartbeats.
pub fn put_heartbeat(prefix: &str, written_us: i64, records: &mut Records) {
    let key = records.sure_part(|out| {
        out.extend_from_slice(b"{\"serverName\":");
        put_str(prefix, out);
        out.push(b'}');
    });
    let value = records.sure_part(|out| {
        put_number(format_args!("{{\"ts_ms\":{}}}", milliseconds(written_us)), out);
    });
    records.push(Some(key), Some(value), None);
}
