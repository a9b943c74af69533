//! What pgtape must know of a table and no Relation message says: its primary key, its indexes, and the shape under which
//! its rows were last copied.
//!
//! They choose a sink's key for a table under REPLICA IDENTITY FULL, so they must be the same whenever the tape is read,
//! with or without the server. So they ride on the tape: as message `@` in the unit that copies the table (first copy or
//! refresh, where the catalog was read under the very snapshot of the rows) and in the preamble of every segment.
//! They change only with such a unit, which replaces the table's rows, so that a key never changes under rows that stay.

use serde::{Deserialize, Serialize};

use crate::model::{Column, Identity, Relation, TableName};

/// First byte of the message. Postgres uses letters only.
pub const FACTS_TAG: u8 = b'@';

/// Facts of one table, as of its last copy. Keys and indexes with a column that is not published are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    /// The table as it was when its rows were copied.
    pub relation: Relation,
    /// Columns of the primary key in the order of its definition; empty without one.
    pub primary_key: Vec<String>,
    /// Columns of each plain index (no expressions, no WHERE), in the order of its definition.
    pub indexes: Vec<Vec<String>>,
    /// What it was, beyond its looks.
    pub lineage: Lineage,
}

/// What tells apart tables that look the same in every Relation message: a column that was dropped and added again, a
/// table that was out of the publication for a while. What such a table missed, no message brings: only a copy does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The catalog's rows that make the table a member of the publication; empty when unknown.
    pub membership: String,
    /// `attnum` of each column of the relation; never used twice in a table.
    pub attnums: Vec<i16>,
}

impl TableFacts {
    /// Whether rows copied as `self` are those of `now` too: the same membership, and its columns are columns of then.
    #[must_use]
    pub fn is_same_lineage(&self, now: &Self) -> bool {
        let number = |facts: &Self, name: &str| {
            let at = facts.relation.columns.iter().position(|column| *column.name == *name)?;
            facts.lineage.attnums.get(at).copied()
        };
        let kept = |column: &Column| number(self, &column.name) == number(now, &column.name);
        self.lineage.membership == now.lineage.membership && now.relation.columns.iter().all(kept)
    }

    /// The table's name.
    #[must_use]
    pub const fn table(&self) -> &TableName {
        &self.relation.table
    }

    /// Appends the message that carries the facts.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FACTS_TAG);
        let relation = &self.relation;
        let column = |c: &Column| WireColumn(c.name.to_string(), c.in_identity, c.type_oid, c.type_modifier);
        let wire = WireFacts {
            relation_id: relation.id,
            schema: relation.table.schema.to_string(),
            name: relation.table.name.to_string(),
            identity: WireIdentity::from(relation.identity),
            columns: relation.columns.iter().map(column).collect(),
            primary_key: self.primary_key.clone(),
            indexes: self.indexes.clone(),
            lineage: self.lineage.clone(),
        };
        serde_json::to_writer(out, &wire).expect("texts and numbers are always JSON");
    }

    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        let wire: WireFacts = serde_json::from_slice(bytes).ok()?;
        let column = |WireColumn(name, in_identity, type_oid, type_modifier): WireColumn| Column {
            name: name.into(),
            in_identity,
            type_oid,
            type_modifier,
        };
        let relation = Relation {
            id: wire.relation_id,
            table: TableName::new(&wire.schema, &wire.name),
            identity: wire.identity.into(),
            columns: wire.columns.into_iter().map(column).collect(),
        };
        Some(Self { relation, primary_key: wire.primary_key, indexes: wire.indexes, lineage: wire.lineage })
    }
}

/// The facts as they stand on the tape: one JSON object.
#[derive(Serialize, Deserialize)]
struct WireFacts {
    relation_id: u32,
    schema: String,
    name: String,
    identity: WireIdentity,
    columns: Vec<WireColumn>,
    primary_key: Vec<String>,
    indexes: Vec<Vec<String>>,
    #[serde(default)]
    lineage: Lineage,
}

/// Name, whether in the identity, type, type modifier.
#[derive(Serialize, Deserialize)]
struct WireColumn(String, bool, u32, i32);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireIdentity {
    Default,
    Nothing,
    Full,
    Index,
}

impl From<Identity> for WireIdentity {
    fn from(identity: Identity) -> Self {
        match identity {
            Identity::Default => Self::Default,
            Identity::Nothing => Self::Nothing,
            Identity::Full => Self::Full,
            Identity::Index => Self::Index,
        }
    }
}

impl From<WireIdentity> for Identity {
    fn from(identity: WireIdentity) -> Self {
        match identity {
            WireIdentity::Default => Self::Default,
            WireIdentity::Nothing => Self::Nothing,
            WireIdentity::Full => Self::Full,
            WireIdentity::Index => Self::Index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgoutput::{Message, decode};

    #[test]
    fn facts_go_there_and_back() {
        let column = Column { name: "Ü".into(), in_identity: true, type_oid: 25, type_modifier: -1 };
        let table = TableName::new("a b", "c.\"d");
        let facts = TableFacts {
            relation: Relation { id: 7, table, identity: Identity::Full, columns: vec![column] },
            primary_key: vec!["Ü".into()],
            indexes: vec![vec!["y".into()]],
            lineage: Lineage { membership: "16390".into(), attnums: vec![2] },
        };
        let mut out = Vec::new();
        facts.encode(&mut out);
        assert_eq!(decode(&out), Ok(Message::Facts(facts)));
        assert!(decode(b"@{}").is_err());
    }
    #[test]
    fn lineage_is_lost_with_a_new_column_of_an_old_name_and_kept_without_some_columns() {
        let facts = |membership: &str, columns: &[(&str, i16)]| {
            let column = |(name, _): &(&str, i16)| Column {
                name: (*name).into(),
                in_identity: false,
                type_oid: 25,
                type_modifier: -1,
            };
            let columns_of = columns.iter().map(column).collect();
            TableFacts {
                relation: Relation {
                    id: 1,
                    table: TableName::new("s", "t"),
                    identity: Identity::Default,
                    columns: columns_of,
                },
                primary_key: Vec::new(),
                indexes: Vec::new(),
                lineage: Lineage { membership: membership.into(), attnums: columns.iter().map(|(_, n)| *n).collect() },
            }
        };
        let then = facts("9", &[("a", 1), ("b", 2)]);
        assert!(then.is_same_lineage(&then));
        assert!(then.is_same_lineage(&facts("9", &[("b", 2)])));
        assert!(!then.is_same_lineage(&facts("9", &[("a", 1), ("b", 3)])));
        assert!(!then.is_same_lineage(&facts("10", &[("a", 1), ("b", 2)])));
    }
}
