//! What stands around a row, and records without rows. The order of what is written is that of the schemas in `constants`.

use super::atoms::{Avro, put_long};
use crate::model::{Lsn, Relation, TableName};
use crate::pgoutput::{Logical, TableFacts};
use crate::sinks::kafka::encode::{
    Atoms, Changes, Connector, Frame, InTransaction, Modes, Place, Records, Stamp, TransactionId, Types, milliseconds,
    nanoseconds, print, put_sequence,
};

/// What a registry calls the schemas of a topic's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// Of keys. Not looked at where records have none.
    pub key: u32,
    /// Of values.
    pub value: u32,
}

impl Ids {
    /// A key begins: Confluent's wire format, `00 id id id id`, and Avro.
    fn open_key(self, out: &mut Vec<u8>) {
        out.push(0);
        out.extend_from_slice(&self.key.to_be_bytes());
    }

    fn open_value(self, out: &mut Vec<u8>) {
        out.push(0);
        out.extend_from_slice(&self.value.to_be_bytes());
    }
}

/// The envelope of a table's changes.
#[derive(Debug, Clone)]
pub struct Envelope {
    ids: Ids,
    source: Source,
}

impl Changes<Envelope> {
    /// Chooses everything that does not depend on a row. `ids` are those of [`super::Schemas::of_table`] of the same
    /// arguments. `facts` tell the primary key's order, and the key under REPLICA IDENTITY FULL.
    #[must_use]
    pub fn new(
        ids: Ids,
        connector: &Connector,
        relation: &Relation,
        facts: Option<&TableFacts>,
        modes: &Modes,
        types: &Types,
    ) -> Self {
        let source = Source::new(connector, Some(&relation.table));
        Self::within(Envelope { ids, source }, relation, facts, modes, types)
    }
}

impl Frame for Envelope {
    type Atoms = Avro;

    fn open_key(&self, out: &mut Vec<u8>) {
        self.ids.open_key(out);
    }

    fn open_value(&self, out: &mut Vec<u8>) {
        self.ids.open_value(out);
    }

    fn open_after(&self, _out: &mut Vec<u8>) {}

    fn close_value(&self, op: u8, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
        self.source.put(&stamp.place, out);
        put_block(stamp.transaction, out);
        Avro::bytes(&[op], out);
        put_optional_long(Some(milliseconds(stamp.written_us)), out);
        put_optional_long(Some(stamp.written_us), out);
        put_optional_long(i64::try_from(nanoseconds(stamp.written_us)).ok(), out);
    }
}

/// Ready bytes of the `source` block.
#[derive(Debug, Clone)]
struct Source {
    /// version, connector, name
    head: Vec<u8>,
    /// db
    database: Vec<u8>,
    /// schema, table
    table: Vec<u8>,
}

impl Source {
    /// The block of a table's changes, or of changes to no table: logical messages.
    fn new(connector: &Connector, table: Option<&TableName>) -> Self {
        let (schema, name) = table.map_or(("", ""), |table| (&table.schema, &table.name));
        let strings = |texts: &[&str]| {
            let mut out = Vec::new();
            texts.iter().for_each(|text| Avro::text(text, &mut out));
            out
        };
        Self {
            head: strings(&[&connector.version, "postgresql", &connector.name]),
            database: strings(&[&connector.database]),
            table: strings(&[schema, name]),
        }
    }

    /// Appends the block. Times past the year 2262 have no nanoseconds: they do not fit.
    fn put(&self, place: &Place<'_>, out: &mut Vec<u8>) {
        const SNAPSHOT: u8 = 0; // The union's first branch, where "null" is the second.
        out.extend_from_slice(&self.head);
        put_long(milliseconds(place.commit_time_us), out);
        out.push(SNAPSHOT);
        Avro::text(place.snapshot.name(), out);
        out.extend_from_slice(&self.database);
        Avro::some(out);
        Avro::plain(|out| put_sequence(place.last_commit, place.lsn, out), out);
        put_optional_long(Some(place.commit_time_us), out);
        put_optional_long(i64::try_from(nanoseconds(place.commit_time_us)).ok(), out);
        out.extend_from_slice(&self.table);
        put_optional_long(place.xid.map(i64::from), out);
        put_optional_long(signed(place.lsn), out);
        Avro::none(out); // xmin
        match place.origin {
            Some((name, _)) => {
                Avro::some(out);
                Avro::text(name, out);
            }
            None => Avro::none(out),
        }
        put_optional_long(place.origin.and_then(|(_, lsn)| signed(lsn)), out);
    }
}

/// As Avro's long holds it: no log is 8 EiB long.
fn signed(Lsn(lsn): Lsn) -> Option<i64> {
    i64::try_from(lsn).ok()
}

fn put_optional_long(number: Option<i64>, out: &mut Vec<u8>) {
    match number {
        Some(number) => {
            Avro::some(out);
            put_long(number, out);
        }
        None => Avro::none(out),
    }
}

/// Appends a count. None reaches 63 bits.
fn put_count(count: u64, out: &mut Vec<u8>) {
    put_long(i64::try_from(count).unwrap_or(i64::MAX), out);
}

fn put_block(transaction: Option<InTransaction>, out: &mut Vec<u8>) {
    let Some(InTransaction { id, total_order, table_order }) = transaction else { return Avro::none(out) };
    Avro::some(out);
    put_transaction_id(id, out);
    put_count(total_order, out);
    put_count(table_order, out);
}

fn put_transaction_id(TransactionId { xid, lsn: Lsn(lsn) }: TransactionId, out: &mut Vec<u8>) {
    Avro::plain(|out| print(format_args!("{xid}:{lsn}"), out), out);
}

/// Appends the record of a logical message, for the topic of messages.
pub fn put_message(ids: Ids, connector: &Connector, message: &Logical<'_>, stamp: &Stamp<'_>, records: &mut Records) {
    let key = records.sure_part(|out| {
        ids.open_key(out);
        Avro::some(out);
        Avro::text(message.prefix, out);
    });
    let value = records.sure_part(|out| {
        ids.open_value(out);
        Avro::text("m", out);
        put_optional_long(Some(milliseconds(stamp.written_us)), out);
        Source::new(connector, None).put(&stamp.place, out);
        put_block(stamp.transaction, out);
        Avro::some(out);
        Avro::text(message.prefix, out);
        Avro::some(out);
        Avro::bytes(message.content, out);
    });
    records.push(Some(key), Some(value), None);
}

/// Appends the record of a transaction's begin, for the topic of transactions.
pub fn put_begin(ids: Ids, id: TransactionId, commit_time_us: i64, records: &mut Records) {
    put_border(ids, id, commit_time_us, records, |out| {
        Avro::text("BEGIN", out);
        put_transaction_id(id, out);
        Avro::none(out);
        Avro::none(out);
    });
}

/// Appends the record of a transaction's end, with the number of all its changes and of each table's, in the order given.
pub fn put_end<'a>(
    ids: Ids,
    id: TransactionId,
    commit_time_us: i64,
    total: u64,
    tables: impl Iterator<Item = (&'a TableName, u64)>,
    records: &mut Records,
) {
    put_border(ids, id, commit_time_us, records, |out| {
        Avro::text("END", out);
        put_transaction_id(id, out);
        Avro::some(out);
        put_count(total, out);
        Avro::some(out);
        let (start, mut items) = (Avro::open_array(out), 0);
        for (table, count) in tables {
            Avro::some(out);
            Avro::text(&table.to_string(), out);
            put_count(count, out);
            items += 1;
        }
        Avro::close_array(start, items, out);
    });
}

fn put_border(ids: Ids, id: TransactionId, time_us: i64, records: &mut Records, put_head: impl FnOnce(&mut Vec<u8>)) {
    let key = records.sure_part(|out| {
        ids.open_key(out);
        put_transaction_id(id, out);
    });
    let value = records.sure_part(|out| {
        ids.open_value(out);
        put_head(out);
        put_long(milliseconds(time_us), out);
    });
    records.push(Some(key), Some(value), None);
}

/// Appends a heartbeat, for the topic of heartbeats.
pub fn put_heartbeat(ids: Ids, prefix: &str, written_us: i64, records: &mut Records) {
    let key = records.sure_part(|out| {
        ids.open_key(out);
        Avro::text(prefix, out);
    });
    let value = records.sure_part(|out| {
        ids.open_value(out);
        put_long(milliseconds(written_us), out);
    });
    records.push(Some(key), Some(value), None);
}
