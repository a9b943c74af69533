//! The tables as the tape knows them: under which shape their rows were copied, and what the stream announced since.
//!
//! Invariants: it can be read back from the tape alone (Type, Relation and `@` messages), so nothing else has to be kept;
//! a table whose shape differs from that of its last copy in more than left-out columns is *pending*: it is to be copied
//! again at one position (see `refresh`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;

use crate::model::{Lsn, Position, Relation, TableName};
use crate::pgoutput::{DecodeError, Message, RelationChange, TableFacts, compare, decode};
use crate::tape::{self, Entry, Kind, Reader, Watermark};

use super::catalog::Described;
use super::error::Error;

/// What the tape knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    facts: BTreeMap<u32, TableFacts>,
    relations: BTreeMap<u32, Bytes>,
    types: BTreeMap<u32, Bytes>,
    pending: BTreeSet<TableName>,
    /// Announcements that a refresh has answered already: the same one does not ask for another.
    settled: BTreeMap<u32, Bytes>,
}

impl Known {
    /// Reads it back from the tape in `dir`, whose durable end is `end`.
    pub fn load(dir: &Path, end: Lsn, watermark: Watermark) -> Result<Self, Error> {
        let mut known = Self::default();
        if end == Lsn::ZERO {
            return Ok(known);
        }
        // The newest segment that has something before the end: its preamble, and all that came after it. If retention
        // has left only a segment that was just begun, its preamble says everything.
        let after = Lsn(end.0 - 1).max(tape::usage(dir)?.oldest);
        let mut reader = Reader::open(dir, Position::whole(after), watermark)?;
        while let Some(entry) = reader.next()? {
            match entry {
                Entry::Preamble(mut messages) => {
                    known.facts.clear(); // The head of a segment names every table.
                    while let Some((_, message)) = messages.next_message()? {
                        known.read_back(message)?;
                    }
                }
                Entry::Transaction(mut unit) => {
                    if matches!(unit.head().kind, Kind::Copy | Kind::Refresh) {
                        let replaced = unit.head().tables.clone();
                        known.facts.retain(|_, facts| !replaced.contains(&facts.table().to_string()));
                    }
                    while let Some((_, message)) = unit.next_message()? {
                        known.read_back(message)?;
                    }
                }
                Entry::Progress(_) | Entry::Gap(_) => {}
            }
        }
        Ok(known)
    }

    fn read_back(&mut self, message: &[u8]) -> Result<(), Error> {
        match message.first() {
            Some(b'R') => {
                if let Message::Relation(relation) = decode(message)? {
                    self.relations.insert(relation.id, Bytes::copy_from_slice(message));
                }
            }
            Some(b'Y') => self.typed(message)?,
            Some(b'@') => {
                if let Message::Facts(facts) = decode(message)? {
                    // Of two tables of one name, the one before is gone.
                    self.facts.retain(|_, before| before.table() != facts.table());
                    self.facts.insert(facts.relation.id, facts);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in a Relation message of the stream.
    pub fn announced(&mut self, raw: &[u8]) -> Result<(), DecodeError> {
        if let Message::Relation(relation) = decode(raw)? {
            self.learn(&relation.to_relation(), Bytes::copy_from_slice(raw));
        }
        Ok(())
    }

    fn learn(&mut self, relation: &Relation, raw: Bytes) {
        if !self.holds(relation) && self.settled.get(&relation.id) != Some(&raw) {
            self.want(relation);
        }
        self.relations.insert(relation.id, raw);
    }

    /// Takes in a Type message of the stream.
    pub fn typed(&mut self, raw: &[u8]) -> Result<(), DecodeError> {
        if let Message::Type { oid, .. } = decode(raw)? {
            self.types.insert(oid, Bytes::copy_from_slice(raw));
        }
        Ok(())
    }

    /// Whether rows copied under the known shape are right under this one.
    fn holds(&self, relation: &Relation) -> bool {
        self.facts.get(&relation.id).is_some_and(|facts| match compare(&facts.relation, relation) {
            RelationChange::Same => true,
            RelationChange::ColumnsDropped => facts.primary_key.iter().all(|key| relation.column(key).is_some()),
            RelationChange::New | RelationChange::Other => false,
        })
    }

    fn want(&mut self, relation: &Relation) {
        if let Some(before) = self.facts.get(&relation.id) {
            self.pending.insert(before.table().clone());
        }
        self.pending.insert(relation.table.clone());
    }

    /// Compares with the catalog: tables that are new, changed, were not published for a while, or are not any more, become
    /// pending.
    pub fn compare_catalog(&mut self, described: &[Described]) {
        for table in described {
            let (now, relation) = (&table.facts, &table.facts.relation);
            let before = self.facts.get(&relation.id);
            let kept = before.is_some_and(|f| f.primary_key == now.primary_key && f.is_same_lineage(now));
            if !kept || !self.holds(relation) {
                self.want(relation);
            }
        }
        let gone = self.facts.values().filter(|f| !described.iter().any(|d| d.facts.relation.id == f.relation.id));
        self.pending.extend(gone.map(|facts| facts.table().clone()));
    }

    /// The tables to copy again.
    pub fn pending(&self) -> Vec<TableName> {
        self.pending.iter().cloned().collect()
    }

    /// Whether there are tables to copy again.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// `names` were replaced on the tape by `described`.
    pub fn replaced(&mut self, names: &[TableName], described: &[Described]) {
        self.facts.retain(|_, facts| !names.contains(facts.table()));
        for name in names {
            self.pending.remove(name);
        }
        for table in described {
            let id = table.facts.relation.id;
            if let Some(raw) = self.relations.get(&id) {
                self.settled.insert(id, raw.clone());
            }
            self.relations.insert(id, table.relation_message().into());
            self.types.extend(table.types.iter().map(|(oid, raw)| (*oid, Bytes::copy_from_slice(raw))));
            self.facts.insert(id, table.facts.clone());
        }
    }

    /// What stands at the head of a segment.
    pub fn preamble(&self) -> Vec<Bytes> {
        let facts = self.facts.values().map(|facts| {
            let mut message = Vec::new();
            facts.encode(&mut message);
            Bytes::from(message)
        });
        self.types.values().chain(self.relations.values()).cloned().chain(facts).collect()
    }

    /// The relation of that name, as last copied.
    pub fn relation(&self, table: &TableName) -> Option<&Relation> {
        self.facts.values().map(|facts| &facts.relation).find(|relation| relation.table == *table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Identity};
    use crate::pgoutput::Lineage;

    /// `s.t: a b` as a table of columns.
    fn described(id: u32, text: &str) -> Described {
        let (name, columns) = text.split_once(": ").unwrap();
        let column = |name: &str| Column { name: name.into(), in_identity: true, type_oid: 25, type_modifier: -1 };
        let relation = Relation {
            id,
            table: TableName::parse(name).unwrap(),
            identity: Identity::Full,
            columns: columns.split(' ').map(column).collect(),
        };
        let facts = TableFacts { relation, primary_key: Vec::new(), indexes: Vec::new(), lineage: Lineage::default() };
        Described { facts, partitioned: false, filter: None, types: BTreeMap::new() }
    }

    fn known(tables: &[Described]) -> Known {
        let mut known = Known::default();
        known.replaced(&[], tables);
        known
    }

    fn pending(known: &Known) -> Vec<String> {
        known.pending().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_announced_change_asks_for_one_refresh() {
        let mut known = known(&[described(1, "s.a: x y z")]);
        known.announced(&described(1, "s.a: x y z").relation_message()).unwrap();
        known.announced(&described(1, "s.a: x y").relation_message()).unwrap();
        assert!(!known.has_pending(), "left-out columns need none");
        let widened = described(1, "s.a: x y z w");
        known.announced(&widened.relation_message()).unwrap();
        assert_eq!(pending(&known), ["s.a"]);
        known.replaced(&[TableName::new("s", "a")], std::slice::from_ref(&widened));
        known.announced(&widened.relation_message()).unwrap();
        assert!(!known.has_pending());
    }

    #[test]
    fn an_announcement_that_a_refresh_did_not_settle_asks_no_second_time() {
        let mut known = known(&[described(1, "s.a: x")]);
        let odd = described(1, "s.a: x odd").relation_message();
        known.announced(&odd).unwrap();
        known.replaced(&known.pending(), &[described(1, "s.a: x even")]);
        known.announced(&odd).unwrap();
        assert!(!known.has_pending());
    }

    #[test]
    fn renamed_new_and_vanished_tables_are_replaced_under_both_names() {
        let mut known = known(&[described(1, "s.a: x"), described(2, "s.b: x")]);
        known.compare_catalog(&[described(1, "s.c: x"), described(3, "s.d: x")]);
        assert_eq!(pending(&known), ["s.a", "s.b", "s.c", "s.d"]);
        known.replaced(&known.pending(), &[described(1, "s.c: x"), described(3, "s.d: x")]);
        assert!(known.relation(&TableName::new("s", "b")).is_none());
        assert!(known.relation(&TableName::new("s", "c")).is_some());
        assert_eq!(known.preamble().len(), 5, "a relation of a dropped table stays: its changes may still come");
    }

    #[test]
    fn a_table_that_left_the_publication_for_a_while_is_replaced() {
        let mut known = known(&[described(1, "s.a: x"), described(2, "s.b: x")]);
        known.compare_catalog(&[described(1, "s.a: x"), described(2, "s.b: x")]);
        assert!(!known.has_pending());
        let mut back = described(1, "s.a: x");
        back.facts.lineage.membership = "2".into();
        known.compare_catalog(&[back, described(2, "s.b: x")]);
        assert_eq!(pending(&known), ["s.a"]);
    }
}
