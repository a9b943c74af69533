//! Rows and keys of a table.

use std::marker::PhantomData;
use std::sync::Arc;

use super::atoms::Atoms;
use super::modes::{Compat, Modes};
use super::types::Types;
use super::value::Encoder;
use crate::model::{Identity, Relation};
use crate::pgoutput::{Cell, OldKind, TableFacts, Tuple};
use crate::sinks::kafka::Unfit;

/// What an update tells of the row as it was.
pub(super) type Old<'a> = Option<(OldKind, Tuple<'a>)>;

/// The columns of a relation, ready to be written with the atoms `A`.
#[derive(Debug, Clone)]
pub(super) struct Columns<A> {
    columns: Vec<Column>,
    /// The key's, in the order of its definition; empty without one.
    key: Vec<usize>,
    atoms: PhantomData<A>,
}

#[derive(Debug, Clone)]
struct Column {
    name: Arc<str>,
    label: Vec<u8>,
    encoder: Encoder,
    in_identity: bool,
    /// Never NULL, and said to be so by formats with a schema: part of the key.
    in_key: bool,
    /// What stands for it when only the key of a row was sent.
    untold: Vec<u8>,
}

impl<A: Atoms> Columns<A> {
    pub(super) fn new(relation: &Relation, facts: Option<&TableFacts>, modes: &Modes, types: &Types) -> Self {
        let key = key_columns(relation, facts);
        let column = |(at, column): (usize, &crate::model::Column)| {
            let (label, in_key) = (A::label(&column.name), key.contains(&at));
            let encoder = Encoder::choose(column.type_oid, column.type_modifier, modes, types);
            let mut untold = Vec::new();
            match modes.compat {
                Compat::Honest => A::none(&mut untold),
                Compat::Strict => {
                    A::some(&mut untold);
                    encoder.put_filler::<A>(&mut untold);
                }
            }
            Column { name: column.name.clone(), label, encoder, in_identity: column.in_identity, in_key, untold }
        };
        let columns = relation.columns.iter().enumerate().map(column).collect();
        Self { columns, key, atoms: PhantomData }
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
            column.put_field::<A>(at == 0, cell, out)?;
        }
        A::close_record(self.columns.is_empty(), out);
        Ok(())
    }

    /// Appends the row as it was, or what is told of it.
    pub(super) fn put_old(&self, kind: OldKind, old: Tuple<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.check(old)?;
        for (at, (column, cell)) in self.columns.iter().zip(old.cells()).enumerate() {
            match kind {
                OldKind::Key if !column.in_identity && (A::SCHEMALESS || !column.in_key) => {
                    A::field(at == 0, &column.label, out);
                    out.extend_from_slice(&column.untold);
                }
                OldKind::Key | OldKind::Full => column.put_field::<A>(at == 0, cell, out)?,
            }
        }
        A::close_record(self.columns.is_empty(), out);
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
                cell @ (Cell::Null | Cell::Text(_)) => column.put_field::<A>(nth == 0, cell, out)?,
            }
        }
        A::close_record(self.columns.is_empty(), out);
        Ok(())
    }

    fn check(&self, tuple: Tuple<'_>) -> Result<(), Unfit> {
        if tuple.len() == self.columns.len() {
            return Ok(());
        }
        Err(Unfit { column: "*".into(), reason: "stands for a row of another number of columns than its table" })
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

    fn put_field<A: Atoms>(&self, is_first: bool, cell: Cell<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        A::field(is_first, &self.label, out);
        match (cell, self.in_key) {
            (Cell::Null, true) if !A::SCHEMALESS => return Err(self.unfit("is part of the key and is NULL")),
            (Cell::Null, _) => {
                A::none(out);
                return Ok(());
            }
            (Cell::Unchanged | Cell::Text(_), false) => A::some(out),
            (Cell::Unchanged | Cell::Text(_), true) => {}
        }
        let put = match cell {
            Cell::Text(text) => self.encoder.put::<A>(text, out),
            Cell::Unchanged | Cell::Null => self.encoder.put_unavailable::<A>(out),
        };
        put.map_err(|reason| self.unfit(reason))
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
pub(in super::super) fn key_columns(relation: &Relation, facts: Option<&TableFacts>) -> Vec<usize> {
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
