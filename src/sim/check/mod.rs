//! The final proof: rows against the records. Every acknowledged row is as it was acknowledged, and each actor's event in
//! flight is wholly in or wholly out.
//!
//! Knows nothing of where rows come from: Postgres, a snapshot of the standby, or a list.

mod checker;

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;

use futures_util::TryStreamExt;
use serde::Serialize;

use super::actor::{Image, Rows};
use super::record::State;
use super::rehydrate::for_each_row;
use crate::model::TableName;
use crate::pg::{self, Address, Purpose};
use crate::refusal::{Kind, Refusal};
use checker::Checker;

/// Findings that are listed; the rest is only counted.
pub const FINDINGS_MAX: usize = 20;

/// Whose the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The tables may hold rows of others: only rows the records know are looked at.
    Shared,
    /// The actors of these records are the only writers: any other row is a finding.
    Exclusive,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// It was acknowledged and is not there.
    Missing,
    /// It is there and should not be.
    Unexpected,
    /// It is there more than once.
    Doubled,
    /// A value is not the acknowledged one.
    Differs {
        /// The first column that differs.
        column: String,
        /// As acknowledged.
        promised: Option<String>,
        /// As found; `None` also when the column is missing.
        found: Option<String>,
    },
    /// The event in flight did this much and not the rest, or the other way round.
    Torn,
}

/// A row that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `schema.name`.
    pub table: String,
    /// Key columns and their texts.
    pub key: BTreeMap<String, String>,
    /// What is wrong.
    pub wrong: Wrong,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: Vec<String> = self.key.iter().map(|(column, value)| format!("{column}={value}")).collect();
        write!(f, "{} ({}) ", self.table, key.join(", "))?;
        match &self.wrong {
            Wrong::Missing => f.write_str("was acknowledged and is missing"),
            Wrong::Unexpected => f.write_str("is there and should not be"),
            Wrong::Doubled => f.write_str("is there more than once"),
            Wrong::Differs { column, promised, found } => {
                let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".into());
                write!(f, "has {column} = {}, acknowledged was {}", text(found), text(promised))
            }
            Wrong::Torn => f.write_str("shows only part of the event in flight"),
        }
    }
}

/// How an actor's event in flight ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InFlightEnd {
    /// There was none.
    None,
    /// It is committed, wholly.
    In,
    /// Nothing of it is there.
    Out,
    /// It changes nothing that its rows would show.
    Unseen,
    /// Part of it is there.
    Torn,
}

/// An actor's part of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ActorCheck {
    /// Events acknowledged to it.
    pub commits: u64,
    /// Its rows that were looked for.
    pub rows: u64,
    /// Its acknowledged rows that are not as acknowledged.
    pub acknowledged_missing: u64,
    /// Its event in flight.
    pub in_flight: InFlightEnd,
}

/// What the comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// By actor name.
    pub actors: BTreeMap<String, ActorCheck>,
    /// The first findings.
    pub findings: Vec<Finding>,
    /// All of them, counted.
    pub findings_total: u64,
}

impl Report {
    /// Nothing lost, altered, doubled or torn.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.findings_total == 0
    }
}

/// Compares with the live rows in Postgres, all tables in one snapshot.
pub async fn against_postgres(address: &Address, records: &[State], rule: Rule) -> Result<Report, pg::Error> {
    let mut checker = Checker::new(records, rule, None);
    let session = pg::connect(address, Purpose::Verify).await?;
    session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    for (table, columns) in checker.tables() {
        let name = TableName::parse(&table).expect("a record names tables as schema.name");
        let list: Vec<String> = columns.iter().map(|c| format!("{}::text", pg::identifier(c))).collect();
        let sql = format!("SELECT {} FROM {}", list.join(", "), pg::table(&name));
        let none: [&str; 0] = [];
        let rows = session.query_raw(&sql, none).await?;
        tokio::pin!(rows);
        while let Some(row) = rows.try_next().await? {
            let image: Image = columns.iter().cloned().zip((0..columns.len()).map(|i| row.get(i))).collect();
            checker.row(&table, &image);
        }
    }
    session.batch_execute("COMMIT").await?;
    Ok(checker.finish())
}

/// Compares with a snapshot as `/v1/snapshot` sends it. It must hold every table of [`tables`].
pub fn against_snapshot(snapshot: impl BufRead, records: &[State], rule: Rule) -> Result<Report, Refusal> {
    let mut checker = Checker::new(records, rule, None);
    for_each_row(snapshot, |table, row| checker.row(&table, &row))
        .map_err(|why| Refusal::new(Kind::Unreachable, why, "ask the service for the snapshot again"))?;
    Ok(checker.finish())
}

/// The tables that the records speak of: what to ask `/v1/snapshot` for.
#[must_use]
pub fn tables(records: &[State]) -> Vec<String> {
    Checker::new(records, Rule::Shared, None).tables().into_iter().map(|(table, _)| table).collect()
}

/// Compares with rows of some tables; what the records say of other tables is left aside.
pub(super) fn against_rows(rows: &Rows, tables: &[&str], records: &[State]) -> Report {
    let mut checker = Checker::new(records, Rule::Shared, Some(tables));
    for (table, images) in &rows.0 {
        for row in images {
            checker.row(table, row);
        }
    }
    checker.finish()
}
