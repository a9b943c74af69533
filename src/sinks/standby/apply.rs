//! One message at a time onto the working copy.
//!
//! Decided once, for changes that do not fit the rows held (the table changed outside the stream): the new image wins.
//! An insert of a held key replaces the row, an update of a row not held inserts it, a delete of one changes nothing, and
//! each is counted as a misfit of the table, which status shows and `verify` names. Only an update whose new image is not
//! complete (an unchanged out-of-line value of a row not held) leaves no row: a value is never guessed.

use super::bag;
use super::row::{Row, put_cell};
use super::rows::Held;
use super::store::Store;
use crate::model::Lsn;
use crate::pgoutput::{Cell, Message, OldKind, Tuple};
use crate::tape::{Head, Kind};

/// Is told of changes before they are made.
pub trait Observer {
    /// Whether it wants to know of the rows of table `number`.
    fn watches(&mut self, store: &Store, number: usize) -> bool;
    /// A row is about to change.
    fn changing(&mut self, store: &Store, number: usize, old: Option<Row<'_>>, new: Option<Row<'_>>);
    /// All rows of these tables are about to be replaced; `None`: of all tables, a new epoch begins.
    fn replacing(&mut self, store: &Store, numbers: Option<&[usize]>);
    /// They have been.
    fn replaced(&mut self, store: &Store);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn watches(&mut self, _: &Store, _: usize) -> bool {
        false
    }
    fn changing(&mut self, _: &Store, _: usize, _: Option<Row<'_>>, _: Option<Row<'_>>) {}
    fn replacing(&mut self, _: &Store, _: Option<&[usize]>) {}
    fn replaced(&mut self, _: &Store) {}
}

/// The tape says something that cannot be understood: damage, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A change of a table that was never described.
    #[error("a change names relation {0}, which the tape has not described")]
    UnknownRelation(u32),
    /// A row with another number of columns than its table.
    #[error("a row of {table} has {got} columns, the table has {want}")]
    Columns {
        /// The table.
        table: String,
        /// Columns of the row.
        got: usize,
        /// Columns of the table.
        want: usize,
    },
}

/// A unit of the tape in the course of being applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Changes.
    Changes,
    /// Rows that replace tables: they are not counted as inserts, nor shown to observers one by one.
    Replaces,
}

type Cells<'a> = Vec<Option<&'a [u8]>>;

impl Store {
    /// Begins a unit.
    pub fn begin(&mut self, head: &Head, observer: &mut dyn Observer) -> Unit {
        match head.kind {
            Kind::Stream | Kind::Message => Unit::Changes,
            Kind::Copy => {
                observer.replacing(self, None);
                self.clear_all();
                Unit::Replaces
            }
            Kind::Refresh => {
                let names = head.tables.iter().filter_map(|t| crate::model::TableName::parse(t));
                let numbers: Vec<usize> = names.filter_map(|name| self.number(&name)).collect();
                observer.replacing(self, Some(&numbers));
                for number in numbers {
                    self.clear(number, true);
                    self.disappears(number);
                }
                Unit::Replaces
            }
        }
    }

    /// Ends a unit: from here on its position counts.
    pub fn commit(&mut self, head: &Head, unit: Unit, observer: &mut dyn Observer) {
        if unit == Unit::Replaces {
            observer.replaced(self);
        }
        self.count(head.kind == Kind::Stream, head.commit_time_us);
        self.advance(head.epoch, head.end_lsn);
    }

    /// Nothing happened up to `lsn`.
    pub fn progress(&mut self, lsn: Lsn) {
        self.advance(self.position().0, lsn);
    }

    /// A message of a segment's head: says again what was said before, so it describes only what is not known. It shows no
    /// table: what it names may have been renamed or dropped since, and what is held says which tables there are.
    pub fn preamble(&mut self, message: Message<'_>) {
        match message {
            // Of an empty table the last word counts: a reader that starts within a segment hears all of them.
            Message::Relation(r) if self.by_id(r.id).is_none_or(|t| self.tables[t].is_empty()) => {
                self.describe(r.to_relation(), false);
            }
            Message::Facts(facts) => {
                let known = self.by_id(facts.relation.id).or_else(|| self.number(facts.table()));
                if known.is_none_or(|t| self.tables[t].absent) {
                    let number = self.facts(facts);
                    self.disappears(number);
                }
            }
            _ => {}
        }
    }

    /// Applies a message of a unit.
    pub fn apply(&mut self, m: &Message<'_>, unit: Unit, observer: &mut dyn Observer) -> Result<(), ApplyError> {
        match m {
            Message::Insert { relation_id, new } => self.insert(self.find(*relation_id)?, new, unit, observer),
            Message::Update { relation_id, old, new } => self.update(self.find(*relation_id)?, old, new, observer),
            Message::Delete { relation_id, kind, old } => self.delete(self.find(*relation_id)?, *kind, old, observer),
            Message::Truncate { relation_ids, .. } => {
                let numbers: Result<Vec<usize>, ApplyError> = relation_ids.iter().map(|id| self.find(*id)).collect();
                self.truncate(&numbers?, observer);
                Ok(())
            }
            Message::Relation(relation) => {
                self.describe(relation.to_relation(), unit == Unit::Replaces);
                Ok(())
            }
            Message::Facts(facts) => {
                self.facts(facts.clone());
                Ok(())
            }
            Message::Begin(_)
            | Message::Commit(_)
            | Message::Origin { .. }
            | Message::Type { .. }
            | Message::Logical(_) => Ok(()),
        }
    }

    fn find(&self, relation_id: u32) -> Result<usize, ApplyError> {
        self.by_id(relation_id).ok_or(ApplyError::UnknownRelation(relation_id))
    }

    /// Checks the width of a row.
    fn fits(&self, t: usize, tuple: &Tuple<'_>) -> Result<(), ApplyError> {
        let table = &self.tables[t];
        let (got, want) = (tuple.len(), table.relation.columns.len());
        if got == want { Ok(()) } else { Err(ApplyError::Columns { table: table.name().to_string(), got, want }) }
    }

    fn insert(&mut self, t: usize, new: &Tuple<'_>, unit: Unit, observer: &mut dyn Observer) -> Result<(), ApplyError> {
        self.fits(t, new)?;
        let cells: Cells<'_> = new.cells().map(Cell::text).collect();
        let mut row = std::mem::take(&mut self.buffer);
        row.clear();
        let key_bytes = self.tables[t].layout.encode(&cells, &mut row);
        let changes = unit == Unit::Changes;
        let table = &mut self.tables[t];
        table.counters.inserts += u64::from(changes);
        if changes && observer.watches(self, t) {
            // An observer is told before, so what a misfit replaces must be looked for.
            let table = &mut self.tables[t];
            let held = if table.layout.is_bag() { None } else { table.rows.get(&row[..key_bytes]) };
            table.counters.misfits += u64::from(held.is_some());
            self.change(t, held, Some((&row, key_bytes)), Some(observer));
        } else {
            let table = &mut self.tables[t];
            let held = table.rows.put(&row, key_bytes);
            table.counters.misfits += u64::from(held.is_some());
            self.follow(t, held.as_ref().map(Held::cells), Some(&row));
        }
        self.buffer = row;
        Ok(())
    }

    fn update(
        &mut self,
        t: usize,
        old: &Option<(OldKind, Tuple<'_>)>,
        new: &Tuple<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), ApplyError> {
        self.fits(t, new)?;
        let old_cells: Option<Cells<'_>> = match old {
            Some((_, tuple)) => {
                self.fits(t, tuple)?;
                Some(tuple.cells().map(Cell::text).collect())
            }
            None => None,
        };
        let mut cells: Cells<'_> = new.cells().map(Cell::text).collect();
        self.tables[t].counters.updates += 1;
        let held = self.held(t, old_cells.as_ref().unwrap_or(&cells));
        self.tables[t].counters.misfits += u64::from(held.is_none());
        let full = matches!(old, Some((OldKind::Full, _)));
        let complete = {
            let before = held.as_ref().map(|held| self.tables[t].row(held.cells(), 1));
            let unchanged = new.cells().enumerate().filter(|(_, cell)| *cell == Cell::Unchanged);
            fill(&mut cells, unchanged.map(|(i, _)| i), before, old_cells.as_ref().filter(|_| full))
        };
        if !complete {
            return Ok(());
        }
        let mut row = std::mem::take(&mut self.buffer);
        row.clear();
        let key_bytes = self.tables[t].layout.encode(&cells, &mut row);
        self.displace(t, held.as_ref(), &row[..key_bytes], observer);
        self.change(t, held, Some((&row, key_bytes)), Some(observer));
        self.buffer = row;
        Ok(())
    }

    /// Takes out another row that stands where a changed key leads: a misfit.
    fn displace(&mut self, t: usize, held: Option<&Held>, key: &[u8], observer: &mut dyn Observer) {
        let table = &self.tables[t];
        let moved = held.is_none_or(|held| table.layout.key_of(held.cells()) != key);
        if table.layout.is_bag() || !moved {
            return;
        }
        if let Some(other) = table.rows.get(key) {
            self.tables[t].counters.misfits += 1;
            self.change(t, Some(other), None, Some(observer));
        }
    }

    fn delete(
        &mut self,
        t: usize,
        _kind: OldKind,
        old: &Tuple<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), ApplyError> {
        self.fits(t, old)?;
        let cells: Cells<'_> = old.cells().map(Cell::text).collect();
        self.tables[t].counters.deletes += 1;
        match self.held(t, &cells) {
            Some(held) => self.change(t, Some(held), None, Some(observer)),
            None => {
                self.tables[t].counters.misfits += 1;
                self.touch(t);
            }
        }
        Ok(())
    }

    fn truncate(&mut self, numbers: &[usize], observer: &mut dyn Observer) {
        observer.replacing(self, Some(numbers));
        for &t in numbers {
            self.clear(t, false);
            self.tables[t].counters.truncates += 1;
        }
        observer.replaced(self);
    }

    /// The row that is held under the key in `cells` (in a bag: that is these cells).
    fn held(&mut self, t: usize, cells: &[Option<&[u8]>]) -> Option<Held> {
        let table = &mut self.tables[t];
        if table.layout.is_bag() {
            return bag::find(table, cells);
        }
        let mut key = std::mem::take(&mut self.buffer);
        key.clear();
        table.layout.key().iter().for_each(|column| put_cell(&mut key, cells[*column]));
        let held = table.rows.get(&key);
        self.buffer = key;
        held
    }

    /// Makes one change: rows, indexes, book; observers first.
    fn change(
        &mut self,
        t: usize,
        old: Option<Held>,
        new: Option<(&[u8], usize)>,
        observer: Option<&mut dyn Observer>,
    ) {
        let old_cells = old.as_ref().map(Held::cells);
        let new_cells = new.map(|(row, _)| row);
        if let Some(observer) = observer
            && observer.watches(self, t)
        {
            let table = &self.tables[t];
            observer.changing(self, t, old_cells.map(|c| table.row(c, 1)), new_cells.map(|c| table.row(c, 1)));
        }
        let table = &mut self.tables[t];
        if let Some(old) = old_cells {
            let key = table.layout.key_of(old);
            let stays = new.is_some_and(|(row, key_bytes)| !table.layout.is_bag() && &row[..key_bytes] == key);
            if !stays {
                table.rows.remove(key);
            }
        }
        if let Some((row, key_bytes)) = new {
            table.rows.put(row, key_bytes);
        }
        self.follow(t, old_cells, new_cells);
    }

    /// Indexes and books follow a change that the rows have been through.
    fn follow(&mut self, t: usize, old: Option<&[u8]>, new: Option<&[u8]>) {
        let table = &mut self.tables[t];
        for index in &mut table.indexes {
            index.change(&table.layout, &table.rows, old, new);
        }
        self.change_book(t, old, new);
        self.touch(t);
    }
}

/// Fills the cells that were not sent: from the row held, else from the whole old row. Whether that was possible.
fn fill<'a>(
    cells: &mut Cells<'a>,
    unchanged: impl Iterator<Item = usize>,
    held: Option<Row<'a>>,
    old: Option<&Cells<'a>>,
) -> bool {
    for i in unchanged {
        match (&held, old) {
            (Some(row), _) => cells[i] = row.cell(i),
            (None, Some(old)) => cells[i] = old[i],
            (None, None) => return false,
        }
    }
    true
}
