//! The shared apply step: contributions before and after each change, taken while the standby applies it.
//!
//! *Before* is what a unit contributed when it was first touched since the last [`Maintainer::settle`], from the rows held
//! (never from the old row that was sent); *after* is what it contributes when settled. What happened in between need not
//! be known, so a batch of any size makes one delta, and a large transaction is settled in parts.
//!
//! Invariant: deltas + target = the roll-up of the store, whenever the store is settled.

use std::collections::HashMap;
use std::sync::Arc;

use super::ceiling::{self, Ceiling};
use super::contract::{Contributions, Line, RollUp, Tables, Unit, Unusable};
use super::deltas::Deltas;
use crate::model::Lsn;
use crate::sinks::standby::{Note, Observer, Row, Store};

/// So many units are touched before they are settled: bounds their memory within a large transaction.
pub const TOUCHED_MAX: usize = 50_000;

/// A point of the tape: epoch and LSN. Points are compared by LSN: on one server that holds whatever the epoch.
pub type Point = (u32, Lsn);

/// What one roll-up has to write.
#[derive(Debug, Default)]
pub struct Effect {
    /// What is added to the target.
    pub deltas: Deltas,
    /// Whether the target is to be emptied before.
    pub replace: bool,
    /// Rows it cannot use, or can again.
    pub notes: Vec<Note>,
}

/// Keeps one roll-up.
pub struct Maintainer {
    rollup: Arc<dyn RollUp>,
    /// Transactions at or below this are in the target already; `None`: nothing is, and the next copy fills it.
    from: Option<Lsn>,
    active: bool,
    tables: Vec<Option<usize>>,
    watched: Vec<bool>,
    shape: Option<u64>,
    touched: HashMap<Unit, Contributions>,
    /// The whole content before rows are replaced in bulk.
    replacing: Option<(Deltas, Vec<Unusable>, Vec<Note>)>,
    effect: Effect,
    ceiling: Option<Ceiling>,
}

impl Maintainer {
    /// Keeps `rollup`, whose target stands at `from`.
    #[must_use]
    pub fn new(rollup: Arc<dyn RollUp>, from: Option<Lsn>) -> Self {
        Self {
            ceiling: Ceiling::new(rollup.target()),
            rollup,
            from,
            active: false,
            tables: Vec::new(),
            watched: Vec::new(),
            shape: None,
            touched: HashMap::new(),
            replacing: None,
            effect: Effect::default(),
        }
    }

    /// The roll-up.
    #[must_use]
    pub fn rollup(&self) -> &Arc<dyn RollUp> {
        &self.rollup
    }

    /// The store it follows stands at a checkpoint.
    pub fn starts_at(&mut self, store: &Store) {
        self.look(store);
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.set(content(&*self.rollup, &tables(&self.tables, store)).0);
        }
    }

    /// A unit that ends at `lsn` begins: it has an effect only where the target does not hold it.
    pub fn begin(&mut self, lsn: Lsn, store: &Store) {
        if self.is_behind(lsn) != self.active {
            self.settle(store);
            self.active = self.is_behind(lsn);
        }
    }

    /// Whether the target is behind once everything up to `lsn` is applied.
    #[must_use]
    pub fn is_behind(&self, lsn: Lsn) -> bool {
        self.from.is_none_or(|from| lsn > from)
    }

    /// Whether it is time to settle, even within a transaction.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.touched.len() >= TOUCHED_MAX
    }

    /// Takes the contributions after.
    pub fn settle(&mut self, store: &Store) {
        if self.touched.is_empty() {
            return;
        }
        self.look(store);
        let tables = tables(&self.tables, store);
        let mut moved = Deltas::default();
        for (unit, before) in self.touched.drain() {
            let after = contributions(&*self.rollup, &tables, &unit);
            moved.count(&before, false);
            moved.count(&after, true);
            note_changes(&tables, &before.unusable, &after.unusable, &mut self.effect.notes);
        }
        self.moved(moved);
    }

    /// The content moves by so much; the target is told as much of it as it can hold and does not have.
    fn moved(&mut self, moved: Deltas) {
        let told = match &mut self.ceiling {
            Some(ceiling) => ceiling.admit(&moved, &mut self.effect.notes),
            None => moved,
        };
        if self.active {
            self.effect.deltas.merge(&told, true);
        }
    }

    /// Takes what there is to write, settled before.
    pub fn take(&mut self) -> Effect {
        debug_assert!(self.touched.is_empty(), "settle comes first");
        std::mem::take(&mut self.effect)
    }

    /// From now on the target is what the store says: replaces it as a whole.
    pub fn replace_with(&mut self, store: &Store) {
        self.active = true;
        self.touched.clear();
        self.look(store);
        let (content, unusable) = content(&*self.rollup, &tables(&self.tables, store));
        let notes = unusable.iter().map(|u| note(&tables(&self.tables, store), u, true)).collect();
        self.effect = Effect { deltas: Deltas::default(), replace: true, notes };
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.set(Deltas::default());
        }
        self.moved(content);
    }

    /// What the target must hold at the store's position.
    #[must_use]
    pub fn content(rollup: &dyn RollUp, store: &Store) -> Deltas {
        let numbers: Vec<Option<usize>> = rollup.sources().iter().map(|s| store.number(&s.table)).collect();
        ceiling::cut(content(rollup, &tables(&numbers, store)).0, rollup.target())
    }

    /// Finds its tables again after shapes have changed.
    fn look(&mut self, store: &Store) {
        if self.shape == Some(store.shape()) {
            return;
        }
        self.shape = Some(store.shape());
        self.tables = self.rollup.sources().iter().map(|s| store.number(&s.table)).collect();
        self.watched.clear();
        for number in self.tables.iter().flatten() {
            self.watched.resize(self.watched.len().max(number + 1), false);
            self.watched[*number] = true;
        }
    }

    /// Whether changes concern it: those that the target does not hold, and all where sums are kept here.
    fn follows(&self) -> bool {
        self.active || self.ceiling.is_some()
    }

    fn source(&self, number: usize) -> Option<usize> {
        self.tables.iter().position(|t| *t == Some(number))
    }

    fn concerned(&self, numbers: Option<&[usize]>) -> bool {
        numbers.is_none_or(|numbers| numbers.iter().any(|n| self.source(*n).is_some()))
    }
}

impl Observer for Maintainer {
    fn watches(&mut self, store: &Store, number: usize) -> bool {
        if !self.follows() || self.replacing.is_some() {
            return false;
        }
        self.look(store);
        self.watched.get(number).copied().unwrap_or(false)
    }

    fn changing(&mut self, store: &Store, number: usize, old: Option<Row<'_>>, new: Option<Row<'_>>) {
        if !self.watches(store, number) {
            return;
        }
        let Some(source) = self.source(number) else { return };
        let tables = tables(&self.tables, store);
        let mut units = Vec::new();
        for row in [old, new].into_iter().flatten() {
            let line = Line { table: store.numbered(number), row, source };
            if self.rollup.sources()[source].drives {
                units.push(line.unit());
            } else {
                self.rollup.dependents(&tables, source, &line, &mut units);
            }
        }
        for unit in units {
            if !self.touched.contains_key(&unit) {
                let before = contributions(&*self.rollup, &tables, &unit);
                self.touched.insert(unit, before);
            }
        }
    }

    fn replacing(&mut self, store: &Store, numbers: Option<&[usize]>) {
        self.look(store);
        if !self.follows() || !self.concerned(numbers) {
            return;
        }
        if numbers.is_none() {
            if let Some(ceiling) = &mut self.ceiling {
                ceiling.set(Deltas::default());
            }
            // A new epoch: what was not written yet is void, and the old content does not count.
            self.touched.clear();
            self.effect = Effect { replace: self.active, ..Effect::default() };
            self.replacing = Some(Default::default());
            return;
        }
        self.settle(store);
        let tables = tables(&self.tables, store);
        let (content, unusable) = content(&*self.rollup, &tables);
        let gone = unusable.iter().map(|u| note(&tables, u, false)).collect();
        self.replacing = Some((content, unusable, gone));
    }

    fn replaced(&mut self, store: &Store) {
        let Some((before, was, gone)) = self.replacing.take() else { return };
        self.look(store);
        let (after, unusable) = content(&*self.rollup, &tables(&self.tables, store));
        let mut moved = after;
        moved.merge(&before, false);
        self.moved(moved);
        let still = |u: &Unusable| unusable.iter().any(|other| (other.source, &other.cells) == (u.source, &u.cells));
        let cleared = was.iter().zip(gone).filter(|(u, _)| !still(u)).map(|(_, note)| note);
        self.effect.notes.extend(cleared);
        let tables = tables(&self.tables, store);
        self.effect.notes.extend(unusable.iter().map(|u| note(&tables, u, true)));
    }
}

fn tables<'a>(numbers: &[Option<usize>], store: &'a Store) -> Tables<'a> {
    Tables(numbers.iter().map(|number| number.map(|n| store.numbered(n))).collect())
}

/// What a unit contributes now; nothing if its row is not there.
fn contributions(rollup: &dyn RollUp, tables: &Tables<'_>, unit: &Unit) -> Contributions {
    let mut out = Contributions::default();
    if let Some(table) = tables.0[unit.source]
        && let Some(row) = table.get_by_key_bytes(&unit.key)
    {
        contribute(rollup, tables, &Line { table, row: row.row(), source: unit.source }, &mut out);
    }
    out
}

/// A row that is there several times contributes as often.
fn contribute(rollup: &dyn RollUp, tables: &Tables<'_>, line: &Line<'_>, out: &mut Contributions) {
    for _ in 0..line.row.copies() {
        rollup.contribute(tables, line.source, line, out);
    }
}

/// What all units contribute, and the rows that cannot be used.
fn content(rollup: &dyn RollUp, tables: &Tables<'_>) -> (Deltas, Vec<Unusable>) {
    let (mut deltas, mut unusable) = (Deltas::default(), Vec::new());
    let drivers = (0..rollup.sources().len()).filter(|s| rollup.sources()[*s].drives);
    for line in drivers.flat_map(|source| tables.all(source)) {
        let mut out = Contributions::default();
        contribute(rollup, tables, &line, &mut out);
        deltas.count(&out, true);
        unusable.append(&mut out.unusable);
    }
    (deltas, unusable)
}

/// Says which rows cannot be used now, and which can again.
fn note_changes(tables: &Tables<'_>, before: &[Unusable], after: &[Unusable], notes: &mut Vec<Note>) {
    for was in before {
        // A row that others look up may still be there, as useless as before, though this unit no longer asks for it.
        let stands = || {
            let table = tables.0[was.source];
            table.is_some_and(|t| t.get_by_key_of(&was.cells).is_some_and(|row| *row.row().bytes() == *was.cells))
        };
        if !after.contains(was) && !stands() {
            notes.push(note(tables, was, false));
        }
    }
    notes.extend(after.iter().map(|is| note(tables, is, true)));
}

fn note(tables: &Tables<'_>, unusable: &Unusable, is: bool) -> Note {
    let table = tables.0[unusable.source].expect("the row came from this table");
    Note::new(table, &unusable.cells, is.then(|| unusable.why.clone()))
}
