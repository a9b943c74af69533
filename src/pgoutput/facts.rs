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
}

impl TableFacts {
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
        Some(Self { relation, primary_key: wire.primary_key, indexes: wire.indexes })
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
        };
        let mut out = Vec::new();
        facts.encode(&mut out);
        assert_eq!(decode(&out), Ok(Message::Facts(facts)));
        assert!(decode(b"@{}").is_err());
    }
}
