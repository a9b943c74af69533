//! Checks of the captured tables: that the patterns match, that rows may be read, that updates and deletes may be
//! published. What is right is decided where it is needed, in `source`: the doctor only asks about each table alone.

use super::{Check, sql_of};
use crate::config::Config;
use crate::model::TableName;
use crate::pg::{self, Session};
use crate::refusal::Refusal;
use crate::sinks::rollup::by_hand;
use crate::source::tables::{CatalogTable, check_identity, check_readable, choose, read_catalog};

/// What is captured, of all there is.
pub(super) struct Captured {
    /// Every table of the database.
    pub catalog: Vec<CatalogTable>,
    /// The tables that a publication names: partitions stand behind their root.
    pub chosen: Vec<CatalogTable>,
    /// Patterns that mean nothing, or what may not be captured.
    patterns: Vec<Check>,
}

/// Reads the catalog and tries each pattern.
pub(super) async fn read(session: &Session, config: &Config) -> Result<Captured, pg::Error> {
    let catalog = read_catalog(session).await.map_err(|e| pg::Error::Refused(e.into_refusal()))?;
    let targets: Vec<TableName> = by_hand::NAMES.iter().filter_map(|n| TableName::parse(n)).collect();
    let mut chosen: Vec<CatalogTable> = Vec::new();
    let mut patterns = Vec::new();
    for pattern in &config.source.tables {
        match choose(&catalog, std::slice::from_ref(pattern), &targets) {
            Ok(tables) => chosen.extend(tables.into_iter().cloned()),
            Err(refusal) => patterns.push(Check::finding("tables", refusal.what, format!("-- {}", refusal.hint))),
        }
    }
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    chosen.dedup_by_key(|table| table.oid);
    Ok(Captured { catalog, chosen, patterns })
}

/// Checks them all.
pub(super) async fn examine(session: &Session, captured: &Captured, role: &str) -> Result<Vec<Check>, pg::Error> {
    let mut checks = captured.patterns.clone();
    if checks.is_empty() {
        let heartbeat = TableName::new("pgtape", "heartbeat");
        let beside = if captured.catalog.iter().any(|t| t.name == heartbeat) { " and pgtape.heartbeat" } else { "" };
        checks.push(Check::ok("tables", format!("{} captured{beside}", captured.chosen.len())));
    }
    let found: Vec<Check> = captured.chosen.iter().flat_map(|table| of(captured, table, role)).collect();
    for (name, well) in
        [("replica_identity", "can be published with updates and deletes"), ("select_privilege", "can be read")]
    {
        if !captured.chosen.is_empty() && found.iter().all(|check| check.check != name) {
            checks.push(Check::ok(name, format!("all {} tables {well}", captured.chosen.len())));
        }
    }
    checks.extend(found);
    checks.extend(row_security(session, captured, role).await?);
    Ok(checks)
}

/// What is wrong with one table or one of its partitions.
fn of(captured: &Captured, table: &CatalogTable, role: &str) -> impl Iterator<Item = Check> {
    let checks = [
        ("replica_identity", check_identity(&captured.catalog, &[table])),
        ("select_privilege", check_readable(&[table], role)),
    ];
    let finding = |(name, checked): (_, Result<(), Refusal>)| {
        checked.err().map(|refusal| Check::finding(name, refusal.what, sql_of(&refusal.hint)))
    };
    checks.into_iter().filter_map(finding)
}

/// Tables whose rows are hidden from the role: the copy would be refused.
async fn row_security(session: &Session, captured: &Captured, role: &str) -> Result<Vec<Check>, pg::Error> {
    let oids: Vec<u32> = captured.chosen.iter().map(|table| table.oid).collect();
    // row_security_active() answers for this setting; our sessions have it off, so that hidden rows are an error.
    session.batch_execute("SET row_security = on").await?;
    let sql = "SELECT oid FROM pg_class WHERE oid = ANY ($1) AND row_security_active(oid)";
    let hidden: Vec<u32> = session.query(sql, &[&oids]).await?.iter().map(|row| row.get(0)).collect();
    let finding = |table: &CatalogTable| {
        let fix = format!("ALTER ROLE {} BYPASSRLS;", pg::identifier(role));
        Check::finding("row_security", format!("row security hides rows of table {} from {role}", table.name), fix)
    };
    Ok(captured.chosen.iter().filter(|table| hidden.contains(&table.oid)).map(finding).collect())
}
