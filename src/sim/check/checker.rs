//! Takes rows one by one and holds them against what the records promise.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{ActorCheck, FINDINGS_MAX, Finding, InFlightEnd, Report, Rule, Wrong};
use crate::sim::actor::Image;
use crate::sim::record::{RowKey, State};

/// What one row must look like, and whether it was seen.
struct Expected {
    actor: usize,
    acknowledged: Option<Image>,
    /// After the event in flight, if that touches the row.
    in_flight: Option<Option<Image>>,
    found: Option<Image>,
    seen: u32,
}

/// The comparison under way.
pub(super) struct Checker<'a> {
    records: &'a [State],
    rule: Rule,
    rows: HashMap<RowKey, Expected>,
    /// Key columns and all columns of each table.
    tables: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
    findings: Vec<Finding>,
    findings_total: u64,
    missing: Vec<u64>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(records: &'a [State], rule: Rule, only: Option<&[&str]>) -> Self {
        let mut checker = Self {
            records,
            rule,
            rows: HashMap::new(),
            tables: BTreeMap::new(),
            findings: Vec::new(),
            findings_total: 0,
            missing: vec![0; records.len()],
        };
        let wanted = |table: &str| only.is_none_or(|only| only.contains(&table));
        for (actor, record) in records.iter().enumerate() {
            for (key, acknowledged) in record.images().filter(|(key, _)| wanted(&key.table)) {
                checker.expect(key.clone(), acknowledged.as_ref());
                let row = Expected { actor, acknowledged, in_flight: None, found: None, seen: 0 };
                checker.rows.insert(key.clone(), row);
            }
            let effects = record.in_flight().into_iter().flat_map(|event| &event.effects);
            for effect in effects.filter(|effect| wanted(&effect.table)) {
                let key = RowKey { table: effect.table.clone(), key: effect.key.clone() };
                checker.expect(key.clone(), effect.after.as_ref());
                let fresh = Expected { actor, acknowledged: None, in_flight: None, found: None, seen: 0 };
                checker.rows.entry(key).or_insert(fresh).in_flight = Some(effect.after.clone());
            }
        }
        checker
    }

    /// Notes the columns of a row that will be looked for.
    fn expect(&mut self, key: RowKey, image: Option<&Image>) {
        let (keys, columns) = self.tables.entry(key.table).or_default();
        for column in key.key.into_keys() {
            columns.insert(column.clone());
            keys.insert(column);
        }
        columns.extend(image.into_iter().flat_map(|image| image.keys().cloned()));
    }

    /// The tables and columns to bring.
    pub(super) fn tables(&self) -> Vec<(String, Vec<String>)> {
        self.tables.iter().map(|(table, (_, all))| (table.clone(), all.iter().cloned().collect())).collect()
    }

    /// Takes one row; rows of tables the records do not know are passed over.
    pub(super) fn row(&mut self, table: &str, row: &Image) {
        let Some((keys, _)) = self.tables.get(table) else { return };
        let text = |column: &String| row.get(column).cloned().flatten().unwrap_or_default();
        let key = keys.iter().map(|column| (column.clone(), text(column))).collect();
        let key = RowKey { table: table.to_owned(), key };
        match self.rows.get_mut(&key) {
            None if self.rule == Rule::Exclusive => self.find(key, Wrong::Unexpected),
            None => {}
            Some(expected) => {
                expected.seen += 1;
                // Settled rows need not be kept: most of a long run are.
                if expected.in_flight.is_some() {
                    expected.found = Some(row.clone());
                    return;
                }
                let (actor, seen) = (expected.actor, expected.seen);
                let wrong =
                    if seen > 1 { Some(Wrong::Doubled) } else { differs(expected.acknowledged.as_ref(), Some(row)) };
                if let Some(wrong) = wrong {
                    self.missing[actor] += 1;
                    self.find(key, wrong);
                }
            }
        }
    }

    /// All rows were brought.
    pub(super) fn finish(mut self) -> Report {
        let mut flying: Vec<Vec<(RowKey, Expected)>> = self.records.iter().map(|_| Vec::new()).collect();
        let mut looked_for = vec![0; self.records.len()];
        let mut rows: Vec<(RowKey, Expected)> = std::mem::take(&mut self.rows).into_iter().collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, expected) in rows {
            looked_for[expected.actor] += 1;
            if expected.in_flight.is_some() {
                flying[expected.actor].push((key, expected));
            } else if expected.seen == 0 && expected.acknowledged.is_some() {
                self.missing[expected.actor] += 1;
                self.find(key, Wrong::Missing);
            }
        }
        let mut actors = BTreeMap::new();
        for (actor, (record, flying)) in self.records.iter().zip(flying).enumerate() {
            let in_flight = self.judge(actor, flying, record.in_flight().is_some());
            let (rows, acknowledged_missing) = (looked_for[actor], self.missing[actor]);
            let check = ActorCheck { commits: record.acknowledged, rows, acknowledged_missing, in_flight };
            actors.insert(record.name.clone(), check);
        }
        Report { actors, findings: self.findings, findings_total: self.findings_total }
    }

    /// The event in flight: all its rows as before, or all as after it.
    fn judge(&mut self, actor: usize, rows: Vec<(RowKey, Expected)>, any: bool) -> InFlightEnd {
        let before = |e: &Expected| e.seen <= 1 && differs(e.acknowledged.as_ref(), e.found.as_ref()).is_none();
        let after = |e: &Expected| {
            e.seen <= 1 && differs(e.in_flight.as_ref().and_then(Option::as_ref), e.found.as_ref()).is_none()
        };
        let (out, inside) = (rows.iter().all(|(_, e)| before(e)), rows.iter().all(|(_, e)| after(e)));
        match (any, out, inside) {
            (false, _, _) => return InFlightEnd::None,
            (true, true, true) => return InFlightEnd::Unseen,
            (true, true, false) => return InFlightEnd::Out,
            (true, false, true) => return InFlightEnd::In,
            (true, false, false) => {}
        }
        for (key, expected) in rows {
            let wrong = match (before(&expected), after(&expected)) {
                (true, true) => continue,
                (true, false) | (false, true) => Wrong::Torn,
                (false, false) if expected.seen > 1 => Wrong::Doubled,
                (false, false) => {
                    differs(expected.acknowledged.as_ref(), expected.found.as_ref()).unwrap_or(Wrong::Torn)
                }
            };
            if wrong != Wrong::Torn && expected.acknowledged.is_some() {
                self.missing[actor] += 1;
            }
            self.find(key, wrong);
        }
        InFlightEnd::Torn
    }

    fn find(&mut self, key: RowKey, wrong: Wrong) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { table: key.table, key: key.key, wrong });
        }
    }
}

/// What is wrong with `found`, held against `promised`.
fn differs(promised: Option<&Image>, found: Option<&Image>) -> Option<Wrong> {
    match (promised, found) {
        (None, None) => None,
        (None, Some(_)) => Some(Wrong::Unexpected),
        (Some(_), None) => Some(Wrong::Missing),
        (Some(promised), Some(found)) => {
            let (column, value) = promised.iter().find(|(column, value)| found.get(*column) != Some(*value))?;
            let found = found.get(column).cloned().flatten();
            Some(Wrong::Differs { column: column.clone(), promised: value.clone(), found })
        }
    }
}
