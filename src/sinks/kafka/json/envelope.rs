//! What stands around a row: the envelope, its times, and the transaction block; and records without rows: logical
//! messages, the transaction topic, heartbeats.

use std::sync::Arc;

use super::Json;
use super::connect::Heads;
use super::source::Source;
use super::text::{put_base64, put_number, put_str};
use crate::model::{Relation, TableName};
use crate::pgoutput::{Logical, TableFacts};
use crate::sinks::kafka::encode::{
    Changes, Connector, Frame, InTransaction, Modes, Records, Rows, Stamp, TransactionId, Types, milliseconds,
    nanoseconds,
};

/// The envelope of a table's changes.
#[derive(Debug, Clone)]
pub struct Envelope {
    source: Source,
    /// Whether rows stand alone, without an envelope.
    plain: bool,
    /// The schemas beside keys and values, if they are wanted.
    heads: Option<Arc<Heads>>,
}

impl Changes<Envelope> {
    /// Chooses everything that does not depend on a row. `facts` tell the primary key's order, and the key under
    /// REPLICA IDENTITY FULL.
    #[must_use]
    pub fn new(
        connector: &Connector,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        let source = Source::new(connector, Some(&relation.table));
        Self::within(Envelope { source, plain: false, heads: None }, relation, facts, modes, types)
    }

    /// The same with schemas beside keys and values.
    #[must_use]
    pub fn with_schemas(
        connector: &Connector,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        let source = Source::new(connector, Some(&relation.table));
        let heads = Heads::of_table(connector, relation, facts, modes, types);
        let frame = Envelope { source, plain: false, heads: Some(Arc::new(heads)) };
        Self::within(frame, relation, facts, modes, types)
    }

    /// The same without an envelope: the row (of a delete, the old one), and beside its columns `__op`, `__lsn`,
    /// `__source_ts_ms` and `__deleted`, as Debezium's transformation `ExtractNewRecordState` can add them.
    #[must_use]
    pub fn plain(
        connector: &Connector,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        let source = Source::new(connector, Some(&relation.table));
        Self::within(Envelope { source, plain: true, heads: None }, relation, facts, modes, types)
    }
}

impl Frame for Envelope {
    type Atoms = Json;

    fn open_key(&self, out: &mut Vec<u8>) {
        Heads::open_key(self.heads.as_deref(), out);
    }

    fn close_key(&self, out: &mut Vec<u8>) {
        Heads::close(self.heads.as_deref(), out);
    }

    fn rows(&self) -> Rows {
        if self.plain { Rows::One } else { Rows::BeforeAndAfter }
    }

    fn open_value(&self, out: &mut Vec<u8>) {
        if self.plain {
            return;
        }
        Heads::open_value(self.heads.as_deref(), out);
        out.extend_from_slice(b"{\"before\":");
    }

    fn open_after(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"after\":");
    }

    fn close_value(&self, op: u8, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
        if self.plain {
            return put_plain_tail(op, stamp, out);
        }
        out.extend_from_slice(b",\"source\":");
        self.source.put(&stamp.place, out);
        put_tail(op, stamp, out);
        Heads::close(self.heads.as_deref(), out);
    }
}

/// What stands beside the columns of a row without an envelope.
pub const PLAIN_FIELDS: [&str; 4] = ["__op", "__lsn", "__source_ts_ms", "__deleted"];

/// Appends to a row what stands beside its columns.
fn put_plain_tail(op: u8, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    out.pop();
    let is_first = out.last() == Some(&b'{');
    out.extend_from_slice(if is_first { b"\"__op\":\"" } else { b",\"__op\":\"" });
    out.push(op);
    out.extend_from_slice(b"\",\"__lsn\":");
    put_number(stamp.place.lsn.0, out);
    out.extend_from_slice(b",\"__source_ts_ms\":");
    put_number(milliseconds(stamp.place.commit_time_us), out);
    out.extend_from_slice(if op == b'd' { b",\"__deleted\":\"true\"}" } else { b",\"__deleted\":\"false\"}" });
}

/// Appends `,"transaction":..,"op":..,"ts_ms":..,"ts_us":..,"ts_ns":..}`: what follows `source`.
fn put_tail(op: u8, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
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
    out.push(b'"');
    put_number(xid, out);
    out.push(b':');
    put_number(lsn.0, out);
    out.push(b'"');
}

/// Appends the record of a logical message, for the topic of messages.
pub fn put_message(
    heads: Option<&Heads>,
    connector: &Connector,
    message: &Logical<'_>,
    stamp: &Stamp<'_>,
    records: &mut Records,
) {
    let key = records.sure_part(|out| {
        Heads::open_key(heads, out);
        out.extend_from_slice(b"{\"prefix\":");
        put_str(message.prefix, out);
        out.push(b'}');
        Heads::close(heads, out);
    });
    let value = records.sure_part(|out| {
        Heads::open_value(heads, out);
        out.extend_from_slice(b"{\"op\":\"m\",\"ts_ms\":");
        put_number(milliseconds(stamp.written_us), out);
        out.extend_from_slice(b",\"source\":");
        Source::new(connector, None).put(&stamp.place, out);
        out.extend_from_slice(b",\"transaction\":");
        put_transaction_block(stamp.transaction, out);
        out.extend_from_slice(b",\"message\":{\"prefix\":");
        put_str(message.prefix, out);
        out.extend_from_slice(b",\"content\":");
        put_base64(message.content, out);
        out.extend_from_slice(b"}}");
        Heads::close(heads, out);
    });
    records.push(Some(key), Some(value), None);
}

/// Appends the record of a transaction's begin, for the topic of transactions.
pub fn put_begin(heads: Option<&Heads>, id: TransactionId, commit_time_us: i64, records: &mut Records) {
    put_border(heads, id, commit_time_us, records, |out| {
        out.extend_from_slice(b"{\"status\":\"BEGIN\",\"id\":");
        put_transaction_id(id, out);
        out.extend_from_slice(b",\"event_count\":null,\"data_collections\":null");
    });
}

/// Appends the record of a transaction's end, with the number of its changes, and of those of each table in the order given.
pub fn put_end<'a>(
    heads: Option<&Heads>,
    id: TransactionId,
    commit_time_us: i64,
    total: u64,
    tables: impl Iterator<Item = (&'a TableName, u64)>,
    records: &mut Records,
) {
    put_border(heads, id, commit_time_us, records, |out| {
        out.extend_from_slice(b"{\"status\":\"END\",\"id\":");
        put_transaction_id(id, out);
        out.extend_from_slice(b",\"event_count\":");
        put_number(total, out);
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

fn put_border(
    heads: Option<&Heads>,
    id: TransactionId,
    time_us: i64,
    records: &mut Records,
    put_head: impl FnOnce(&mut Vec<u8>),
) {
    let key = records.sure_part(|out| {
        Heads::open_key(heads, out);
        out.extend_from_slice(b"{\"id\":");
        put_transaction_id(id, out);
        out.push(b'}');
        Heads::close(heads, out);
    });
    let value = records.sure_part(|out| {
        Heads::open_value(heads, out);
        put_head(out);
        out.extend_from_slice(b",\"ts_ms\":");
        put_number(milliseconds(time_us), out);
        out.push(b'}');
        Heads::close(heads, out);
    });
    records.push(Some(key), Some(value), None);
}

/// Appends a heartbeat, for the topic of heartbeats.
pub fn put_heartbeat(heads: Option<&Heads>, prefix: &str, written_us: i64, records: &mut Records) {
    let key = records.sure_part(|out| {
        Heads::open_key(heads, out);
        out.extend_from_slice(b"{\"serverName\":");
        put_str(prefix, out);
        out.push(b'}');
        Heads::close(heads, out);
    });
    let value = records.sure_part(|out| {
        Heads::open_value(heads, out);
        out.extend_from_slice(b"{\"ts_ms\":");
        put_number(milliseconds(written_us), out);
        out.push(b'}');
        Heads::close(heads, out);
    });
    records.push(Some(key), Some(value), None);
}
