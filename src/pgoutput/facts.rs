//! What pgtape must know of a table and no Relation message says: its primary key and its indexes.
//!
//! They choose a sink's key for a table under REPLICA IDENTITY FULL, so they must be the same whenever the tape is read,
//! with or without the server. So they ride on the tape: as message `@` in the unit that copies the table (first copy or
//! refresh, where the catalog was read under the very snapshot of the rows) and in the preamble of every segment.
//! They change only with such a unit, which replaces the table's rows, so that a key never changes under rows that stay.

use serde::{Deserialize, Serialize};

use crate::model::TableName;

/// First byte of the message. Postgres uses letters only.
pub const FACTS_TAG: u8 = b'@';

/// Facts of one table, as of its last copy. Columns that are not published make a key or an index unusable: left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// The OID that change messages name.
    pub relation_id: u32,
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
    /// Columns of the primary key in the order of its definition; empty without one.
    pub primary_key: Vec<String>,
    /// Columns of each plain index (no expressions, no WHERE), in the order of its definition.
    pub indexes: Vec<Vec<String>>,
}

impl TableFacts {
    /// The table's name.
    #[must_use]
    pub fn table(&self) -> TableName {
        TableName::new(&self.schema, &self.name)
    }

    /// Appends the message that carries the facts.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FACTS_TAG);
        serde_json::to_writer(out, self).expect("texts and numbers are always JSON");
    }

    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgoutput::{Message, decode};

    #[test]
    fn facts_go_there_and_back() {
        let facts = TableFacts {
            relation_id: 7,
            schema: "a b".into(),
            name: "c".into(),
            primary_key: vec!["x".into(), "Ü".into()],
            indexes: vec![vec!["y".into()]],
        };
        let mut out = Vec::new();
        facts.encode(&mut out);
        assert_eq!(decode(&out), Ok(Message::Facts(facts)));
        assert!(decode(b"@{}").is_err());
    }
}
