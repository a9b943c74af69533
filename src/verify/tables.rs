//! A table of the standby against the same table under the snapshot.

use std::collections::HashMap;

use super::Void;
use super::digest::{Digest, row_hash};
use super::report::{DIFFERENCES_SHOWN_MAX, Difference, Side, TableReport};
use super::rows;
use super::snapshot::Snapshot;
use crate::sinks::standby::Table;

/// Counts and digests; where they differ, a second look finds the first rows that do.
pub(super) async fn compare(snapshot: &Snapshot, table: &Table) -> Result<TableReport, Void> {
    let found = rows::of_catalog(snapshot, table).await?;
    if let Some(why) = not_comparable(&found) {
        return Ok(TableReport::not_compared(table.name().clone(), table.len(), why));
    }
    let mut postgres = Digest::default();
    rows::of_postgres(snapshot, table, |cells| postgres.add(row_hash(cells))).await?;
    let mut standby = Digest::default();
    for row in table.rows() {
        let hash = row_hash(&row.cells());
        (0..row.copies()).for_each(|_| standby.add(hash));
    }
    let equal = postgres == standby;
    let differences = if equal { Vec::new() } else { find_differences(snapshot, table).await? };
    Ok(TableReport {
        table: table.name().clone(),
        rows_postgres: postgres.rows,
        rows_standby: standby.rows,
        equal,
        digest_postgres: postgres.hex(),
        digest_standby: standby.hex(),
        differences,
        note: if equal { None } else { note(table) },
    })
}

/// Why there is nothing in Postgres to hold the table against; pgtape looks at the catalog every few seconds only.
fn not_comparable(found: &rows::Found) -> Option<&'static str> {
    match (found.exists, found.has_columns) {
        (false, _) => Some("the table is gone from Postgres: it was dropped or renamed, and pgtape has not looked yet"),
        (true, false) => Some("columns are gone from the table in Postgres, and pgtape has not copied it again yet"),
        (true, true) => None,
    }
}

fn note(table: &Table) -> Option<String> {
    if table.is_stale() {
        return Some("the table's shape has changed and it waits to be copied again".into());
    }
    (table.counters().misfits > 0).then(|| {
        "changes did not fit the rows held: the table (or a partition of it) was changed outside the stream".into()
    })
}

/// The first rows on one side only, or on both with other values.
async fn find_differences(snapshot: &Snapshot, table: &Table) -> Result<Vec<Difference>, Void> {
    // Rows of the standby by hash; those that Postgres has are taken off.
    let mut left: HashMap<u128, u64> = HashMap::new();
    for row in table.rows() {
        *left.entry(row_hash(&row.cells())).or_default() += row.copies();
    }
    let mut found = Vec::new();
    rows::of_postgres(snapshot, table, |cells| match left.get_mut(&row_hash(cells)) {
        Some(copies) if *copies > 0 => *copies -= 1,
        Some(_) | None if found.len() < DIFFERENCES_SHOWN_MAX => found.push(missing(table, cells)),
        Some(_) | None => {}
    })
    .await?;
    for row in table.rows() {
        let cells = row.cells();
        let key = key_of(table, &cells);
        let extra = left.get(&row_hash(&cells)).is_some_and(|copies| *copies > 0);
        let known = !key.is_empty() && found.iter().any(|d| d.key == key);
        if extra && !known && found.len() < DIFFERENCES_SHOWN_MAX {
            found.push(Difference { key, only_in: Side::Standby, columns: Vec::new() });
        }
    }
    Ok(found)
}

/// A row of Postgres that the standby has not, or has with other values.
fn missing(table: &Table, cells: &[Option<&[u8]>]) -> Difference {
    let wanted: Vec<Option<&[u8]>> = table.key().into_iter().map(|c| cells[c]).collect();
    let (only_in, columns) = match table.get(&wanted) {
        None => (Side::Postgres, Vec::new()),
        Some(held) => {
            let held = held.row();
            let differs = |c: &usize| held.cell(*c) != cells[*c];
            let name = |c: usize| table.relation().columns[c].name.to_string();
            (Side::Both, (0..cells.len()).filter(differs).map(name).collect())
        }
    };
    Difference { key: key_of(table, cells), only_in, columns }
}

fn key_of(table: &Table, cells: &[Option<&[u8]>]) -> std::collections::BTreeMap<String, Option<String>> {
    let text = |cell: Option<&[u8]>| cell.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    table.key_names().into_iter().map(str::to_owned).zip(table.key().into_iter().map(|c| text(cells[c]))).collect()
}
