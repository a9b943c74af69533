//! Rows and keys of a table.

use std::sync::Arc;

use super::modes::{Compat, Modes};
use super::text::put_str;
use super::types::Types;
use super::value::Encoder;
use crate::model::{Identity, Relation};
use crate::pgoutput::{Cell, OldKind, TableFacts, Tuple};
use crate::sinks::kafka::Unfit;

/// What an update tells of the row as it was.
pub(super) type Old<'a> = Option<(OldKind, Tuple<'a>)>;

/// The columns of a relation, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    columns: Vec<Column>,
    /// The key's, in the order of its definition; empty without one.
    key: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Column {
    name: Arc<str>,
    /// `"name":`
    label: Vec<u8>,
    encoder: Encoder,
    in_identity: bool,
    /// What stands for it when only the key of a row was sent.
    untold: Vec<u8>,
}

impl Columns {
    pub(super) fn new(relation: &Relation, facts: Option<&TableFacts>, modes: &Modes, types: &Types) -> Self {
        let column = |column: &crate::model::Column| {
            let encoder = Encoder::choose(column.type_oid, column.type_modifier, modes, types);
            let (mut label, mut untold) = (Vec::new(), Vec::new());
            put_str(&column.name, &mut label);
            label.push(b':');
            match modes.compat {
                Compat::Honest => untold.extend_from_slice(b"null"),
                Compat::Strict => encoder.put_filler(&mut untold),
            }
            Column { name: column.name.clone(), label, encoder, in_identity: column.in_identity, untold }
        };
        Self { columns: relation.columns.iter().map(column).collect(), key: key_columns(relation, facts) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub(super) fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Appends the row as it is now. What was not sent is taken from `old`, where that tells it.
    pub(super) fn put_new(&self, new: Tuple<'_>, old: Old<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.check(new)?;
        let mut old_cells = old.map(|(kind, tuple)| (kind, tuple.cells()));
        for (at, (column, cell)) in self.columns.iter().zip(new.cells()).enumerate() {
            let old_cell = old_cells.as_mut().and_then(|(kind, cells)| Some((*kind, cells.next()?)));
            let cell = column.known(cell, old_cell);
            column.put_field(at == 0, cell, out)?;
        }
        self.close(out);
        Ok(())
    }

    /// Appends the row as it was, or what is told of it.
    pub(super) fn put_old(&self, kind: OldKind, old: Tuple<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.check(old)?;
        for (at, (column, cell)) in self.columns.iter().zip(old.cells()).enumerate() {
            match kind {
                OldKind::Key if !column.in_identity => {
                    column.put_label(at == 0, out);
                    out.extend_from_slice(&column.untold);
                }
                OldKind::Key | OldKind::Full => column.put_field(at == 0, cell, out)?,
            }
        }
        self.close(out);
        Ok(())
    }

    /// Appends the key of the row as it is now.
    pub(super) fn put_new_key(&self, new: Tuple<'_>, old: Old<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.check(new)?;
        self.put_key(|column, at| column.known(cell(new, at), old.map(|(kind, tuple)| (kind, cell(tuple, at)))), out)
    }

    /// Appends the key of the row as it was.
    pub(super) fn put_old_key(&self, old: Tuple<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.check(old)?;
        self.put_key(|_, at| cell(old, at), out)
    }

    /// Whether an update gave the row another key.
    pub(super) fn is_moved(&self, new: Tuple<'_>, old: Old<'_>) -> bool {
        let Some((_, old)) = old else { return false };
        self.key.iter().any(|&at| match cell(new, at) {
            Cell::Unchanged => false,
            now @ (Cell::Null | Cell::Text(_)) => now != cell(old, at),
        })
    }

    fn put_key<'a>(&self, mut cell_of: impl FnMut(&Column, usize) -> Cell<'a>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        for (nth, &at) in self.key.iter().enumerate() {
            let column = &self.columns[at];
            match cell_of(column, at) {
                Cell::Unchanged => return Err(column.unfit("is part of the key and was not sent")),
                cell @ (Cell::Null | Cell::Text(_)) => column.put_field(nth == 0, cell, out)?,
            }
        }
        self.close(out);
        Ok(())
    }

    fn check(&self, tuple: Tuple<'_>) -> Result<(), Unfit> {
        if tuple.len() == self.columns.len() {
            return Ok(());
        }
        Err(Unfit { column: "*".into(), reason: "stands for a row of another number of columns than its table" })
    }

    fn close(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.columns.is_empty() { b"{}" } else { b"}" });
    }
}

impl Column {
    /// `cell`, or what `old` tells of a value that was not sent.
    fn known<'a>(&self, cell: Cell<'a>, old: Option<(OldKind, Cell<'a>)>) -> Cell<'a> {
        match (cell, old) {
            (Cell::Unchanged, Some((OldKind::Full, told @ Cell::Text(_)))) => told,
            (Cell::Unchanged, Some((OldKind::Key, told @ Cell::Text(_)))) if self.in_identity => told,
            (cell, _) => cell,
        }
    }

    fn put_label(&self, is_first: bool, out: &mut Vec<u8>) {
        out.push(if is_first { b'{' } else { b',' });
        out.extend_from_slice(&self.label);
    }

    fn put_field(&self, is_first: bool, cell: Cell<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.put_label(is_first, out);
        match cell {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Unchanged => self.encoder.put_unavailable(out),
            Cell::Text(text) => self.encoder.put(text, out).map_err(|reason| self.unfit(reason))?,
        }
        Ok(())
    }

    fn unfit(&self, reason: &'static str) -> Unfit {
        Unfit { column: self.name.clone(), reason }
    }
}

/// A checked tuple's cell.
fn cell(tuple: Tuple<'_>, at: usize) -> Cell<'_> {
    tuple.cells().nth(at).unwrap_or(Cell::Null)
}

/// The primary key, unless deletes tell another one.
///
/// Debezium takes the primary key whatever the replica identity is. Under a unique index of other columns a delete would
/// then have a key of nulls, and a compacted topic would keep the row for ever: there the index's columns are the key, in
/// the table's order (that of the index is not told).
fn key_columns(relation: &Relation, facts: Option<&TableFacts>) -> Vec<usize> {
    let primary: Option<Vec<usize>> =
        facts.and_then(|facts| facts.primary_key.iter().map(|name| relation.column(name)).collect());
    let primary = primary.unwrap_or_default();
    let identity: Vec<usize> = (0..relation.columns.len()).filter(|at| relation.columns[*at].in_identity).collect();
    match relation.identity {
        Identity::Full | Identity::Nothing => primary,
        Identity::Default | Identity::Index => {
            let told = !primary.is_empty() && primary.iter().all(|at| identity.contains(at));
            if told || identity.is_empty() { primary } else { identity }
        }
    }
}
