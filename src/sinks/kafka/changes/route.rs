//! Where a relation's changes go: its topic, and what writes its records.

use std::sync::Arc;

use super::mask::Masked;
use super::settings::Settings;
use super::writer::{NoTable, Writer};
use crate::model::{Identity, Relation};
use crate::pgoutput::{OldKind, TableFacts, Tuple, TupleBuffer};
use crate::sinks::kafka::json::{Records, Stamp, Types};
use crate::sinks::kafka::{Table, Unfit};

/// One relation's way out.
#[derive(Clone)]
pub(super) struct Route {
    /// The relation as the stream announced it.
    pub(super) relation: Arc<Relation>,
    /// Its topic.
    pub(super) topic: Arc<str>,
    table: Table,
    masked: Option<Masked>,
}

/// A change of a row.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    Insert(Tuple<'a>),
    /// A row of a copy.
    Read(Tuple<'a>),
    Update(Option<(OldKind, Tuple<'a>)>, Tuple<'a>),
    Delete(OldKind, Tuple<'a>),
}

/// Memory for masked rows, used again.
#[derive(Default)]
pub(super) struct Scratch {
    old: TupleBuffer,
    new: TupleBuffer,
}

impl Route {
    pub(super) fn new(
        settings: &Settings,
        writer: &mut Writer,
        relation: &Arc<Relation>,
        facts: Option<&TableFacts>,
        types: &Types,
    ) -> Result<Self, NoTable> {
        let special = settings.special(&relation.table);
        if let Some(column) = special.and_then(|special| special.unknown_mask(relation)) {
            let why = format!("there is no column {column}, which is to be masked: mend [[kafka.table]]");
            return Err(NoTable::Stop(why));
        }
        let masked = special.and_then(|special| Masked::new(relation, &special.masks, &settings.mask_secret));
        let shown = masked.as_ref().map_or_else(|| Relation::clone(relation), |masked| masked.relation(relation));
        let facts =
            facts_of(&shown, facts, special.and_then(|special| special.key.as_deref())).map_err(NoTable::Stop)?;
        if settings.whole_rows && relation.identity != Identity::Full {
            return Err(NoTable::Stop(format!(
                "who reads this topic needs whole old rows: run ALTER TABLE {} REPLICA IDENTITY FULL",
                crate::pg::table(&relation.table)
            )));
        }
        let topic: Arc<str> = settings.topic_of(&relation.table).into();
        let table = writer.table(&topic, &shown, facts.as_ref(), settings, types)?;
        Ok(Self { relation: Arc::clone(relation), topic, table, masked })
    }

    /// Appends the records of a change; returns how many have a number within their transaction.
    pub(super) fn put(
        &self,
        change: Change<'_>,
        stamp: &Stamp<'_>,
        scratch: &mut Scratch,
        records: &mut Records,
    ) -> Result<u64, Unfit> {
        let Some(masked) = &self.masked else { return self.write(change, stamp, records) };
        let Scratch { old: old_buffer, new: new_buffer } = scratch;
        let change = match change {
            Change::Insert(row) => Change::Insert(masked.tuple(row, new_buffer)),
            Change::Read(row) => Change::Read(masked.tuple(row, new_buffer)),
            Change::Update(old, row) => {
                let old = old.map(|(kind, old)| (kind, masked.tuple(old, old_buffer)));
                Change::Update(old, masked.tuple(row, new_buffer))
            }
            Change::Delete(kind, old) => Change::Delete(kind, masked.tuple(old, old_buffer)),
        };
        self.write(change, stamp, records)
    }

    fn write(&self, change: Change<'_>, stamp: &Stamp<'_>, records: &mut Records) -> Result<u64, Unfit> {
        match change {
            Change::Insert(row) => self.table.insert(row, stamp, records),
            Change::Read(row) => self.table.read(row, stamp, records),
            Change::Update(old, row) => self.table.update(old, row, stamp, records),
            Change::Delete(kind, old) => self.table.delete(kind, old, stamp, records),
        }
    }

    /// Appends the record of a TRUNCATE.
    pub(super) fn put_truncate(&self, stamp: &Stamp<'_>, records: &mut Records) -> u64 {
        self.table.truncate(stamp, records)
    }
}

/// The facts with another key, where the configuration names one; all of whose columns every change must tell.
fn facts_of(
    shown: &Relation,
    facts: Option<&TableFacts>,
    key: Option<&[String]>,
) -> Result<Option<TableFacts>, String> {
    let known = facts.map(|facts| TableFacts { relation: shown.clone(), ..facts.clone() });
    let primary = known.as_ref().map(|facts| facts.primary_key.as_slice()).unwrap_or_default();
    let named = key.unwrap_or(primary);
    if let Some(missing) = named.iter().find(|name| shown.column(name).is_none()) {
        return Err(format!("the column {missing} of its key is not there, or masked away"));
    }
    let Some(key) = key else { return Ok(known) };
    let told = |name: &&String| {
        shown.identity == Identity::Full || shown.column(name).is_some_and(|at| shown.columns[at].in_identity)
    };
    if let Some(untold) = key.iter().find(|name| !told(name)) {
        return Err(format!(
            "the column {untold} of its configured key is not told by deletes: run ALTER TABLE {} REPLICA IDENTITY FULL",
            crate::pg::table(&shown.table)
        ));
    }
    let empty = || TableFacts {
        relation: shown.clone(),
        primary_key: Vec::new(),
        indexes: Vec::new(),
        lineage: crate::pgoutput::Lineage::default(),
    };
    Ok(Some(TableFacts { primary_key: key.to_vec(), ..known.unwrap_or_else(empty) }))
}
