//! What a verification found. Names keys and columns of rows that differ, never their other values.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Lsn, TableName};

/// Rows that differ are shown up to this number, a table.
pub const DIFFERENCES_SHOWN_MAX: usize = 10;

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// In Postgres alone.
    Postgres,
    /// In the standby (of a roll-up: in its target) alone.
    Standby,
    /// In both, with other values.
    Both,
}

/// A row, or a group, that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its key; empty for a table without one.
    pub key: BTreeMap<String, Option<String>>,
    /// Where it is.
    pub only_in: Side,
    /// The columns that differ, when it is on both sides.
    pub columns: Vec<String>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: TableName,
    /// Rows in Postgres at the position.
    pub rows_postgres: u64,
    /// Rows in the standby at the position.
    pub rows_standby: u64,
    /// Whether count and digest are equal.
    pub equal: bool,
    /// Sum of the hashes of Postgres's rows.
    pub digest_postgres: String,
    /// Sum of the hashes of the standby's rows.
    pub digest_standby: String,
    /// The first rows that differ.
    pub differences: Vec<Difference>,
    /// What may have happened, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A roll-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RollupReport {
    /// Its name: the target.
    pub rollup: String,
    /// Groups that the definition gives.
    pub groups: u64,
    /// Whether the target holds exactly those, and nothing is quarantined.
    pub equal: bool,
    /// Rows that the roll-up cannot use.
    pub quarantined: u64,
    /// The first groups that differ.
    pub differences: Vec<Difference>,
    /// Why it could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl TableReport {
    /// A table that Postgres no longer has as the standby holds it, and why.
    pub(super) fn not_compared(table: TableName, rows_standby: u64, why: &str) -> Self {
        Self {
            table,
            rows_postgres: 0,
            rows_standby,
            equal: false,
            digest_postgres: String::new(),
            digest_standby: String::new(),
            differences: Vec::new(),
            note: Some(why.to_owned()),
        }
    }
}

impl RollupReport {
    /// A roll-up whose definition cannot be run, and why.
    pub(super) fn not_compared(name: &str, why: String) -> Self {
        let (rollup, note) = (name.to_owned(), Some(why));
        Self { rollup, groups: 0, equal: false, quarantined: 0, differences: Vec::new(), note }
    }
}

/// Everything, at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything is equal.
    pub ok: bool,
    /// The position: every commit up to it was compared, and nothing after.
    pub lsn: Lsn,
    /// The tables.
    pub tables: Vec<TableReport>,
    /// The roll-ups.
    pub rollups: Vec<RollupReport>,
}

impl Report {
    pub(super) fn new(lsn: Lsn) -> Self {
        Self { ok: false, lsn, tables: Vec::new(), rollups: Vec::new() }
    }

    pub(super) fn concluded(mut self) -> Self {
        self.ok = self.tables.iter().all(|t| t.equal) && self.rollups.iter().all(|r| r.equal);
        self
    }
}
