//! The working copy: the tables as the apply changes them, and the view that is published from it.
//!
//! Invariant: a view is taken between units only, so no reader ever sees part of a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use super::bag::Learned;
use super::books::{BookColumns, BookSpec, Books, Resting};
use super::index::Index;
use super::layout::Layout;
use super::row::Row;
use super::rows::Rows;
use super::table::{Counters, Table};
use super::view::View;
use super::{IndexSpec, Note};
use crate::model::{Lsn, Position, Relation, TableName};
use crate::pgoutput::{RelationChange, TableFacts, compare};

/// What to keep beside the rows.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Indexes beside the keys.
    pub indexes: Vec<IndexSpec>,
    /// Order books.
    pub books: Vec<BookSpec>,
}

/// The tables while they change.
#[derive(Debug)]
pub struct Store {
    pub(super) tables: Vec<Table>,
    names: HashMap<TableName, usize>,
    ids: HashMap<u32, usize>,
    extras: Arc<Extras>,
    /// The book that each table's rows are in, with its columns.
    book_of: Vec<Option<(usize, BookColumns)>>,
    dirty: Vec<bool>,
    view: View,
    /// Rows that books cannot use, or can again, since the last [`Store::take_notes`].
    notes: Vec<Note>,
    /// Grows with every change of the set of tables or of their shapes.
    shape: u64,
    activity: bool,
    pub(super) buffer: Vec<u8>,
}

/// Changes in this schema are our own doing: the heartbeat.
const OWN_SCHEMA: &str = "pgtape";

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(extras: Arc<Extras>) -> Self {
        let view = View { books: Books::new(&extras.books), ..View::default() };
        Self::from_view(extras, view)
    }

    /// A store that goes on from a view (of a checkpoint). Indexes and books are made anew.
    #[must_use]
    pub fn from_view(extras: Arc<Extras>, view: View) -> Self {
        let mut store = Self {
            tables: Vec::new(),
            names: HashMap::new(),
            ids: HashMap::new(),
            book_of: Vec::new(),
            dirty: Vec::new(),
            view: View { books: Books::new(&extras.books), tables: imbl::OrdMap::new(), ..view.clone() },
            notes: Vec::new(),
            shape: 0,
            activity: false,
            buffer: Vec::new(),
            extras,
        };
        for table in view.tables.values() {
            store.add(Table::clone(table));
        }
        store
    }

    fn add(&mut self, table: Table) -> usize {
        let index = self.tables.len();
        self.names.insert(table.name().clone(), index);
        self.ids.insert(table.relation.id, index);
        self.tables.push(table);
        self.dirty.push(true);
        self.book_of.push(None);
        self.derive(index);
        index
    }

    /// Makes the indexes and the book of a table anew, from its rows.
    fn derive(&mut self, index: usize) {
        self.shape += 1;
        let table = &mut self.tables[index];
        let name = table.relation.table.clone();
        let slot = |column: &str| table.relation.column(column).map(|c| table.layout.slot_of(c));
        let specs = self.extras.indexes.iter().filter(|spec| spec.table == name);
        let mut indexes: Vec<Index> = specs.filter_map(|spec| Index::new(&spec.columns, slot)).collect();
        indexes.iter_mut().for_each(|made| made.fill(&table.layout, &table.rows));
        table.indexes = indexes;
        let spec = self.extras.books.iter().position(|spec| spec.table == name);
        self.book_of[index] = spec.and_then(|s| Some((s, BookColumns::find(&self.extras.books[s], table)?)));
        if let Some(s) = spec {
            self.view.books.clear(&self.extras.books[s].engine);
            let table = table.clone();
            for (_, cells, _) in table.rows.from(0) {
                self.change_book(index, None, Some(cells));
            }
        }
    }

    /// A table by name.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.names.get(name).map(|index| &self.tables[*index])
    }

    /// A table by the number that [`super::Observer`] is told.
    #[must_use]
    pub fn numbered(&self, index: usize) -> &Table {
        &self.tables[index]
    }

    /// The number of a table.
    #[must_use]
    pub fn number(&self, name: &TableName) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Changes whenever tables or their shapes do.
    #[must_use]
    pub fn shape(&self) -> u64 {
        self.shape
    }

    pub(super) fn by_id(&self, id: u32) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    /// Takes in a described table. `fresh`: its rows are about to be replaced, so its layout may be another one. A table
    /// that was not copied yet is not shown: the rows it had before are still to come.
    pub(super) fn describe(&mut self, relation: Relation, fresh: bool) {
        let known = self.by_id(relation.id).or_else(|| self.number(&relation.table));
        let Some(index) = known else {
            let layout = Layout::new(&relation, None);
            let index = self.add(empty_table(relation, layout, None));
            self.tables[index].absent = !fresh;
            return;
        };
        if fresh {
            self.appears(index);
        }
        if *self.tables[index].relation == relation {
            return;
        }
        self.forget_names(index);
        let table = &mut self.tables[index];
        let change = compare(&table.relation, &relation);
        let facts = table.facts.as_deref();
        let kept = if fresh { None } else { table.layout.evolved(&table.relation, &relation, facts) };
        match kept {
            Some(layout) => table.layout = Arc::new(layout),
            None => {
                let layout = Layout::new(&relation, facts);
                table.rows = rekeyed(table, &relation, &layout);
                table.layout = Arc::new(layout);
            }
        }
        table.stale |= !fresh && change != RelationChange::ColumnsDropped;
        table.relation = Arc::new(relation);
        self.names.insert(self.tables[index].name().clone(), index);
        self.ids.insert(self.tables[index].relation.id, index);
        self.touch(index);
        self.derive(index);
    }

    /// Takes in the facts of a table, and says its number. They count for rows yet to come: only when none are held.
    pub(super) fn facts(&mut self, facts: TableFacts) -> usize {
        let known = self.number(facts.table());
        let index = known.unwrap_or_else(|| {
            let layout = Layout::new(&facts.relation, Some(&facts));
            self.add(empty_table(facts.relation.clone(), layout, None))
        });
        self.appears(index);
        let table = &mut self.tables[index];
        if table.rows.len() > 0 || table.facts.as_deref() == Some(&facts) {
            return index;
        }
        table.layout = Arc::new(Layout::new(&table.relation, Some(&facts)));
        table.rows = Rows::new(table.layout.is_bag());
        table.facts = Some(Arc::new(facts));
        self.touch(index);
        self.derive(index);
        index
    }

    fn appears(&mut self, index: usize) {
        if std::mem::take(&mut self.tables[index].absent) {
            self.touch(index);
        }
    }

    /// It is shown again when it is described.
    pub(super) fn disappears(&mut self, index: usize) {
        self.tables[index].absent = true;
        self.touch(index);
    }

    fn forget_names(&mut self, index: usize) {
        self.names.retain(|_, i| *i != index);
        self.ids.retain(|_, i| *i != index);
        let name = self.tables[index].name().clone();
        self.view.tables.remove(&name);
    }

    /// Empties a table. `fresh`: it is about to be copied again.
    pub(super) fn clear(&mut self, index: usize, fresh: bool) {
        let table = &mut self.tables[index];
        table.rows = Rows::new(table.layout.is_bag());
        table.indexes.iter_mut().for_each(Index::clear);
        table.stale &= !fresh;
        if fresh {
            table.counters.misfits = 0; // What did not fit is about to be replaced.
        }
        if let Some((spec, _)) = &self.book_of[index] {
            self.view.books.clear(&self.extras.books[*spec].engine);
        }
        self.touch(index);
    }

    /// Forgets all tables: a first copy replaces them.
    pub(super) fn clear_all(&mut self) {
        let extras = Arc::clone(&self.extras);
        let (shape, notes) = (self.shape + 1, std::mem::take(&mut self.notes));
        let view = View { position: self.view.position, epoch: self.view.epoch, ..View::default() };
        *self = Self { shape, notes, ..Self::from_view(extras, view) };
    }

    pub(super) fn touch(&mut self, index: usize) {
        self.dirty[index] = true;
        self.activity |= *self.tables[index].relation.table.schema != *OWN_SCHEMA;
    }

    /// Whether tables that are not pgtape's own have changed since the last call.
    pub fn take_activity(&mut self) -> bool {
        std::mem::take(&mut self.activity)
    }

    /// Follows a change of a row of table `index` in its book.
    pub(super) fn change_book(&mut self, index: usize, old: Option<&[u8]>, new: Option<&[u8]>) {
        let Some((number, columns)) = &self.book_of[index] else { return };
        let spec = &self.extras.books[*number];
        let table = &self.tables[index];
        let read = |cells: &[u8]| columns.read(spec, &table.row(cells, 1));
        let (was, is) = (old.map(read), new.map(read));
        let resting = |read: &Option<Result<Option<Resting>, String>>| match read {
            Some(Ok(order)) => order.clone(),
            Some(Err(_)) | None => None,
        };
        if let Some(order) = resting(&was) {
            self.view.books.change(&spec.engine, &order, false);
        }
        if let Some(order) = resting(&is) {
            self.view.books.change(&spec.engine, &order, true);
        }
        let note = |cells: &[u8], why| Note::new(table, cells, why);
        match (old, was, new, is) {
            (_, _, Some(cells), Some(Err(why))) => self.notes.push(note(cells, Some(why))),
            (Some(cells), Some(Err(_)), ..) => self.notes.push(note(cells, None)),
            _ => {}
        }
    }

    /// Rows that books cannot use, or can again, since the last call.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Where the working copy is.
    #[must_use]
    pub fn position(&self) -> (u32, Position) {
        (self.view.epoch, self.view.position)
    }

    /// Everything up to `lsn` is in. Never goes back.
    pub fn advance(&mut self, epoch: u32, lsn: Lsn) {
        self.view.epoch = epoch;
        self.view.position = self.view.position.max(Position::whole(lsn));
    }

    /// Counts a unit, and notes its time.
    pub(super) fn count(&mut self, transaction: bool, commit_time_us: i64) {
        self.view.transactions += u64::from(transaction);
        self.view.commit_time_us = self.view.commit_time_us.max(commit_time_us);
    }

    /// The view as of now. Between units only.
    pub fn view(&mut self) -> View {
        for (index, dirty) in self.dirty.iter_mut().enumerate() {
            if std::mem::take(dirty) {
                let table = &self.tables[index];
                if table.absent {
                    self.view.tables.remove(table.name());
                } else {
                    self.view.tables.insert(table.name().clone(), Arc::new(table.clone()));
                }
            }
        }
        self.view.clone()
    }
}

fn empty_table(relation: Relation, layout: Layout, facts: Option<Arc<TableFacts>>) -> Table {
    Table {
        rows: Rows::new(layout.is_bag()),
        relation: Arc::new(relation),
        layout: Arc::new(layout),
        facts,
        indexes: Vec::new(),
        counters: Counters::default(),
        stale: false,
        absent: false,
        learned: Learned::default(),
    }
}

/// The rows of `table` under another key. They are exact again once the table has been copied anew.
fn rekeyed(table: &Table, relation: &Relation, layout: &Layout) -> Rows {
    let mut rows = Rows::new(layout.is_bag());
    let from: Vec<Option<usize>> = relation.columns.iter().map(|c| table.relation.column(&c.name)).collect();
    let mut buffer = Vec::new();
    for row in table.rows() {
        let cells: Vec<Option<&[u8]>> = from.iter().map(|c| c.and_then(|c| row.cell(c))).collect();
        buffer.clear();
        let key_bytes = layout.encode(&cells, &mut buffer);
        for _ in 0..row.copies() {
            rows.put(&buffer, key_bytes);
        }
    }
    rows
}

impl Note {
    /// About a row of `table`; `why` it cannot be used, or nothing: it can be used again or is gone.
    #[must_use]
    pub fn new(table: &Table, cells: &[u8], why: Option<String>) -> Self {
        let row = Row { layout: &table.layout, bytes: cells, copies: 1 };
        let text = |cell: Option<&[u8]>| cell.map(|c| String::from_utf8_lossy(c).into_owned());
        let columns = || table.relation.columns.iter().map(|c| c.name.to_string());
        let key = match table.layout.key().as_slice() {
            [] => row.cells().into_iter().map(text).collect(),
            key => key.iter().map(|column| text(row.cell(*column))).collect(),
        };
        let row = why.is_some().then(|| columns().zip(row.cells().into_iter().map(text)).collect());
        Self { table: table.name().clone(), key, row: row.unwrap_or_default(), why }
    }
}
