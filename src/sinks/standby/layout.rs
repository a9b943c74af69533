//! Which cell of a row is which column, and which columns are the key.
//!
//! Invariant: the slots of the key come first and never move. A column that is dropped leaves its slot behind, one that
//! is added gets a slot at the end, so that a changed shape touches no row.

use crate::model::{Identity, Relation};
use crate::pgoutput::TableFacts;

use super::row::{put_cell, take_cell};

/// Where each column of a relation is kept in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Column of the relation in each slot; `None` where the column is gone.
    columns: Vec<Option<usize>>,
    /// Slot of each column of the relation.
    slots: Vec<usize>,
    /// The first so many slots are the key; 0: the table has none and is kept as a bag.
    key: usize,
}

impl Layout {
    /// A layout for rows yet to come: the key first, the other columns in their order.
    #[must_use]
    pub fn new(relation: &Relation, facts: Option<&TableFacts>) -> Self {
        let key = key_columns(relation, facts);
        let others = (0..relation.columns.len()).filter(|c| !key.contains(c));
        let columns: Vec<Option<usize>> = key.iter().copied().chain(others).map(Some).collect();
        Self { slots: invert(&columns, relation.columns.len()), columns, key: key.len() }
    }

    /// The layout for a changed relation that keeps the rows as they are; `None` when the key is another one.
    #[must_use]
    pub(super) fn evolved(&self, old: &Relation, new: &Relation, facts: Option<&TableFacts>) -> Option<Self> {
        let name = |column: &usize| &*old.columns[*column].name;
        let mut columns: Vec<Option<usize>> =
            self.columns.iter().map(|c| c.as_ref().and_then(|c| new.column(name(c)))).collect();
        let key: Option<Vec<usize>> = columns[..self.key].iter().copied().collect();
        let mut wanted = key_columns(new, facts);
        let mut kept = key?;
        kept.sort_unstable();
        wanted.sort_unstable();
        if kept != wanted {
            return None;
        }
        let added: Vec<usize> = (0..new.columns.len()).filter(|c| !columns.contains(&Some(*c))).collect();
        columns.extend(added.into_iter().map(Some));
        Some(Self { slots: invert(&columns, new.columns.len()), columns, key: self.key })
    }

    /// Rebuilt from a checkpoint.
    pub(super) fn from_parts(columns: Vec<Option<usize>>, key: usize, width: usize) -> Option<Self> {
        let complete = (0..width).all(|c| columns.iter().filter(|slot| **slot == Some(c)).count() == 1);
        let bounded = columns.iter().flatten().all(|c| *c < width) && key <= columns.len();
        (complete && bounded).then(|| Self { slots: invert(&columns, width), columns, key })
    }

    /// For a checkpoint.
    pub(super) fn to_parts(&self) -> (&[Option<usize>], usize) {
        (&self.columns, self.key)
    }

    /// Number of cells of a full row.
    pub(super) fn slots(&self) -> usize {
        self.columns.len()
    }

    /// The slot of a column of the relation.
    pub(super) fn slot_of(&self, column: usize) -> usize {
        self.slots[column]
    }

    /// The slots of the relation's columns, in its order.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.slots.iter().copied()
    }

    /// The key's columns, as indexes into the relation; empty for a bag.
    #[must_use]
    pub fn key(&self) -> Vec<usize> {
        self.columns[..self.key].iter().flatten().copied().collect()
    }

    /// Whether the table has no key: rows are then their own key, with a count.
    #[must_use]
    pub fn is_bag(&self) -> bool {
        self.key == 0
    }

    /// Appends the row made of `cells` (in the relation's order). Returns the bytes of its key.
    pub(super) fn encode(&self, cells: &[Option<&[u8]>], out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let cell = |slot: &Option<usize>| slot.and_then(|c| cells.get(c).copied().flatten());
        self.columns[..self.key].iter().for_each(|slot| put_cell(out, cell(slot)));
        let key_bytes = out.len() - start;
        let mut end = out.len();
        for slot in &self.columns[self.key..] {
            let cell = cell(slot);
            put_cell(out, cell);
            if cell.is_some() {
                end = out.len();
            }
        }
        out.truncate(end);
        if self.is_bag() { end - start } else { key_bytes }
    }

    /// Appends the key made of its values, in the key's order.
    pub(super) fn encode_key<'a>(values: impl IntoIterator<Item = Option<&'a [u8]>>, out: &mut Vec<u8>) {
        values.into_iter().for_each(|value| put_cell(out, value));
    }

    /// The bytes of the row that are its key.
    pub(super) fn key_of<'a>(&self, row: &'a [u8]) -> &'a [u8] {
        if self.is_bag() {
            return row;
        }
        let mut rest = row;
        (0..self.key).for_each(|_| rest = take_cell(rest).1);
        &row[..row.len() - rest.len()]
    }
}

/// Slot of each of `width` columns.
fn invert(columns: &[Option<usize>], width: usize) -> Vec<usize> {
    let slot = |c| columns.iter().position(|slot| *slot == Some(c)).expect("every column has a slot");
    (0..width).map(slot).collect()
}

/// The columns that tell rows apart: the replica identity where it is a key, else the primary key, else none.
fn key_columns(relation: &Relation, facts: Option<&TableFacts>) -> Vec<usize> {
    let primary: Option<Vec<usize>> =
        facts.and_then(|f| f.primary_key.iter().map(|name| relation.column(name)).collect());
    let primary = primary.unwrap_or_default();
    let identity: Vec<usize> = (0..relation.columns.len()).filter(|c| relation.columns[*c].in_identity).collect();
    match relation.identity {
        Identity::Full | Identity::Nothing => primary,
        Identity::Default | Identity::Index => {
            let same = primary.len() == identity.len() && primary.iter().all(|c| identity.contains(c));
            if same || identity.is_empty() { primary } else { identity }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, TableName};
    use crate::pgoutput::Lineage;

    /// `a! b`: a is in the identity.
    fn relation(identity: Identity, columns: &str) -> Relation {
        let column = |text: &str| {
            let name = text.trim_end_matches('!');
            Column { name: name.into(), in_identity: name != text, type_oid: 25, type_modifier: -1 }
        };
        let columns = columns.split_whitespace().map(column).collect();
        Relation { id: 1, table: TableName::new("s", "t"), identity, columns }
    }

    fn facts(relation: &Relation, primary_key: &[&str]) -> TableFacts {
        let primary_key = primary_key.iter().map(ToString::to_string).collect();
        TableFacts { relation: relation.clone(), primary_key, indexes: vec![], lineage: Lineage::default() }
    }

    #[test]
    fn the_key_is_the_identity_then_the_primary_key() {
        let check = |identity, columns: &str, primary: &[&str], want: &[usize]| {
            let relation = relation(identity, columns);
            let layout = Layout::new(&relation, Some(&facts(&relation, primary)));
            assert_eq!(layout.key(), want, "{identity:?} {columns} {primary:?}");
        };
        check(Identity::Default, "a b! c!", &["c", "b"], &[2, 1]);
        check(Identity::Index, "a b! c", &["a"], &[1]);
        check(Identity::Full, "a! b! c!", &["b"], &[1]);
        check(Identity::Full, "a! b! c!", &[], &[]);
        check(Identity::Full, "a! b!", &["gone"], &[]);
        check(Identity::Nothing, "a b", &["b"], &[1]);
        check(Identity::Default, "a b", &[], &[]);
    }

    #[test]
    fn a_changed_shape_touches_no_row() {
        let old = relation(Identity::Default, "a k! b");
        let layout = Layout::new(&old, None);
        let mut row = Vec::new();
        layout.encode(&[Some(b"1"), Some(b"key"), Some(b"2")], &mut row);
        let check = |columns: &str, want: Option<&[Option<&str>]>| {
            let new = relation(Identity::Default, columns);
            let cells = layout.evolved(&old, &new, None).map(|layout| {
                let row = super::super::row::Row { layout: &layout, bytes: &row, copies: 1 };
                row.cells().into_iter().map(|c| c.map(|c| String::from_utf8(c.to_vec()).unwrap())).collect::<Vec<_>>()
            });
            let want = want.map(|w| w.iter().map(|c| c.map(str::to_owned)).collect::<Vec<_>>());
            assert_eq!(cells, want, "{columns}");
        };
        check("k! b", Some(&[Some("key"), Some("2")]));
        check("a k! new b", Some(&[Some("1"), Some("key"), None, Some("2")]));
        check("a! k b", None);
        check("a b", None);
    }

    #[test]
    fn trailing_nulls_are_left_out_so_that_equal_rows_have_equal_bytes() {
        let layout = Layout::new(&relation(Identity::Full, "a b c"), None);
        let encode = |cells: &[Option<&[u8]>]| {
            let mut out = Vec::new();
            let key = layout.encode(cells, &mut out);
            assert_eq!(key, out.len());
            out
        };
        assert_eq!(encode(&[Some(b"1"), None, None]), encode(&[Some(b"1")]));
        assert_ne!(encode(&[None, Some(b"1"), None]), encode(&[Some(b"1"), None, None]));
        assert_eq!(encode(&[None, None, None]), Vec::<u8>::new());
    }
}
