//! A roll-up's target, as it stood at C, against its definition run under the snapshot.

use std::collections::BTreeMap;

use super::Void;
use super::definition::Prepared;
use super::report::{DIFFERENCES_SHOWN_MAX, Difference, RollupReport, Side};
use super::snapshot::Snapshot;
use crate::model::{Lsn, Position};
use crate::pg::{self, Session};

/// A row as text, in the definition's columns.
type Row = Vec<Option<String>>;

/// A target as it stood at C.
pub(super) struct Held {
    groups: Vec<Row>,
    /// Why it is not the target at C.
    wrong_position: Option<String>,
}

/// Reads every target and its position in one transaction.
pub(super) async fn read_targets(session: &Session, all: &[Prepared], point: Lsn) -> Result<Vec<Held>, Void> {
    session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let mut held = Vec::new();
    for prepared in all {
        let sql = "SELECT lsn::text, op FROM pgtape.sink_position WHERE sink = $1";
        let position = match session.query_opt(sql, &[&prepared.name]).await? {
            Some(row) => row.get::<_, String>(0).parse().ok().map(Position::whole),
            None => None,
        };
        let wrong_position = match position {
            Some(position) if position.lsn == point => None,
            Some(position) => Some(format!("the roll-up is at {}, not at {point}", position.lsn)),
            None => Some("the roll-up has no position yet".into()),
        };
        held.push(Held { groups: read(session, &prepared.select_target).await?, wrong_position });
    }
    session.batch_execute("COMMIT").await?;
    Ok(held)
}

async fn read(session: &Session, sql: &str) -> Result<Vec<Row>, pg::Error> {
    let rows = session.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| (0..row.len()).map(|i| row.get(i)).collect()).collect())
}

/// Compares group by group.
pub(super) async fn compare(
    snapshot: &Snapshot,
    prepared: &Prepared,
    held: Held,
    quarantined: u64,
) -> Result<RollupReport, Void> {
    snapshot.session.batch_execute("SAVEPOINT definition").await?;
    let mut report = RollupReport {
        rollup: prepared.name.clone(),
        groups: 0,
        equal: false,
        quarantined,
        differences: Vec::new(),
        note: held.wrong_position,
    };
    let wanted = match read(&snapshot.session, &prepared.select_definition).await {
        Ok(rows) => rows,
        Err(pg::Error::Statement { code, .. }) => {
            // The message may quote a value.
            let why = format!("the definition fails on these rows (SQLSTATE {})", code.code());
            snapshot.session.batch_execute("ROLLBACK TO SAVEPOINT definition").await?;
            return Ok(RollupReport { note: Some(why), ..report });
        }
        Err(error) => return Err(error.into()),
    };
    report.groups = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
    report.differences = differences(prepared, &wanted, &held.groups);
    report.equal = report.differences.is_empty() && report.note.is_none() && quarantined == 0;
    Ok(report)
}

fn differences(prepared: &Prepared, wanted: &[Row], held: &[Row]) -> Vec<Difference> {
    let by_key = |rows: &[Row]| -> BTreeMap<Row, Row> {
        rows.iter().map(|row| (prepared.keys.iter().map(|k| row[*k].clone()).collect(), row.clone())).collect()
    };
    let (mut wanted, held) = (by_key(wanted), by_key(held));
    let mut found = Vec::new();
    let mut note = |key: &Row, only_in, columns| {
        if found.len() < DIFFERENCES_SHOWN_MAX {
            let names = prepared.keys.iter().map(|k| prepared.columns[*k].clone());
            found.push(Difference { key: names.zip(key.iter().cloned()).collect(), only_in, columns });
        }
    };
    for (key, row) in &held {
        match wanted.remove(key) {
            None => note(key, Side::Standby, Vec::new()),
            Some(want) if want == *row => {}
            Some(want) => {
                let differs = (0..row.len()).filter(|i| row[*i] != want[*i]);
                note(key, Side::Both, differs.map(|i| prepared.columns[i].clone()).collect());
            }
        }
    }
    for key in wanted.keys() {
        note(key, Side::Postgres, Vec::new());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &[[&str; 2]], held: &[[&str; 2]], want: &[(&str, Side)]) {
        let rows = |rows: &[[&str; 2]]| -> Vec<Row> {
            rows.iter().map(|r| r.iter().map(|c| Some((*c).to_owned())).collect()).collect()
        };
        let prepared = Prepared {
            name: "s.t".into(),
            columns: vec!["day".into(), "sum".into()],
            keys: vec![0],
            select_definition: String::new(),
            select_target: String::new(),
        };
        let found = differences(&prepared, &rows(wanted), &rows(held));
        let found: Vec<(&str, Side)> = found.iter().map(|d| (d.key["day"].as_deref().unwrap(), d.only_in)).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        check(&[["a", "1"], ["b", "2"]], &[["b", "2"], ["a", "1"]], &[]);
        check(&[["a", "1"]], &[["a", "2"]], &[("a", Side::Both)]);
        check(&[["a", "1"]], &[], &[("a", Side::Postgres)]);
        check(&[], &[["a", "1"]], &[("a", Side::Standby)]);
    }
}
