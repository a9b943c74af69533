//! The messages, borrowed from the bytes they were read from.

use super::{TableFacts, Tuple};
use crate::model::{Column, Identity, Lsn, Relation, TableName};

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins. Only committed transactions are sent, in the order of their commits.
    Begin(Begin),
    /// The transaction is complete.
    Commit(Commit),
    /// The transaction was replicated from elsewhere.
    Origin {
        /// Its commit LSN there.
        lsn: Lsn,
        /// The name of the replication origin.
        name: &'a str,
    },
    /// A table, before its first change on this connection and after each invalidation.
    Relation(RelationDescription<'a>),
    /// A type that is not built in, before the Relation that uses it.
    Type {
        /// Its OID.
        oid: u32,
        /// Its schema; empty for `pg_catalog`.
        schema: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A new row.
    Insert {
        /// The table.
        relation_id: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A changed row.
    Update {
        /// The table.
        relation_id: u32,
        /// What is sent of the old row: nothing when the key did not change, under any identity but FULL.
        old: Option<(OldKind, Tuple<'a>)>,
        /// The row now; out-of-line values that did not change are [`super::Cell::Unchanged`].
        new: Tuple<'a>,
    },
    /// A removed row.
    Delete {
        /// The table.
        relation_id: u32,
        /// Which columns of `old` are filled.
        kind: OldKind,
        /// The old row, or its key with NULL elsewhere.
        old: Tuple<'a>,
    },
    /// Tables emptied by one statement.
    Truncate {
        /// The tables.
        relation_ids: Vec<u32>,
        /// Whether `CASCADE` was said; the tables it reached are listed as well.
        cascade: bool,
        /// Whether `RESTART IDENTITY` was said.
        restart_identity: bool,
    },
    /// A message of `pg_logical_emit_message`.
    Logical(Logical<'a>),
    /// pgtape's own: facts of a table that no Relation message holds.
    Facts(TableFacts),
}

/// Begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// LSN of the commit record (its start; the end comes with Commit).
    pub final_lsn: Lsn,
    /// Commit time, microseconds since the Unix epoch.
    pub commit_time_us: i64,
    /// Transaction id.
    pub xid: u32,
}

/// Commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// LSN of the commit record.
    pub commit_lsn: Lsn,
    /// End of the commit record: the `lsn` of the transaction's positions.
    pub end_lsn: Lsn,
    /// Commit time, microseconds since the Unix epoch.
    pub commit_time_us: i64,
}

/// A logical message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logical<'a> {
    /// Whether it belongs to the transaction it stands in (else it stands for itself, between transactions).
    pub transactional: bool,
    /// Where it was written.
    pub lsn: Lsn,
    /// Says whom it is for.
    pub prefix: &'a str,
    /// Its bytes.
    pub content: &'a [u8],
}

/// What an old tuple holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldKind {
    /// The columns of the replica identity; the others are NULL.
    Key,
    /// The whole row (REPLICA IDENTITY FULL).
    Full,
}

/// A table as a Relation message describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationDescription<'a> {
    /// The OID that change messages name.
    pub id: u32,
    /// Its schema; `pg_catalog` is sent as empty and spelled out here.
    pub schema: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What is sent of old rows.
    pub identity: Identity,
    /// The published columns, in the order of tuples.
    pub columns: Vec<ColumnDescription<'a>>,
}

/// A column of a [`RelationDescription`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnDescription<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is part of the replica identity.
    pub in_identity: bool,
    /// Its type.
    pub type_oid: u32,
    /// Its type modifier; -1 for none.
    pub type_modifier: i32,
}

impl RelationDescription<'_> {
    /// As an owned relation.
    #[must_use]
    pub fn to_relation(&self) -> Relation {
        let column = |c: &ColumnDescription<'_>| Column {
            name: c.name.into(),
            in_identity: c.in_identity,
            type_oid: c.type_oid,
            type_modifier: c.type_modifier,
        };
        Relation {
            id: self.id,
            table: TableName::new(self.schema, self.name),
            identity: self.identity,
            columns: self.columns.iter().map(column).collect(),
        }
    }
}

impl Message<'_> {
    /// How many `op` numbers the message takes within its transaction: one for I, U, D and a transactional M, one a
    /// relation for T, none for the others.
    #[must_use]
    pub fn ops(&self) -> u64 {
        match self {
            Message::Insert { .. } | Message::Update { .. } | Message::Delete { .. } => 1,
            Message::Logical(logical) => u64::from(logical.transactional),
            Message::Truncate { relation_ids, .. } => relation_ids.len() as u64,
            Message::Begin(_)
            | Message::Commit(_)
            | Message::Origin { .. }
            | Message::Relation(_)
            | Message::Type { .. }
            | Message::Facts(_) => 0,
        }
    }
}

/// [`Message::ops`] of raw bytes, without decoding the rest of them. Unknown or cut messages take none: `decode` refuses
/// them.
#[must_use]
pub fn ops(raw: &[u8]) -> u64 {
    match raw {
        [b'I' | b'U' | b'D', ..] => 1,
        [b'M', flags, ..] => u64::from(flags & 1),
        [b'T', a, b, c, d, ..] => u64::from(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => 0,
    }
}
