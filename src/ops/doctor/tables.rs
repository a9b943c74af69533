//! Checks of the captured tables: that the patterns match, that rows may be read, that updates and deletes may be
//! published.

use super::Check;
use crate::config::Config;
use crate::model::TableName;
use crate::pg::{self, Session};

/// Names shown of a list that is long.
const SHOWN_MAX: usize = 20;

/// A table, or a leaf of a partitioned one.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub name: TableName,
    /// The partitioned table at the top, for a partition.
    pub root: Option<TableName>,
    /// Whether it has partitions, and so no rows of its own.
    pub partitioned: bool,
    /// `relreplident`: d, n, f or i.
    pub identity: String,
    pub has_primary_key: bool,
    pub has_identity_index: bool,
    pub may_select: bool,
    pub hides_rows: bool,
    pub unlogged: bool,
}

/// What is captured, and all names there are.
pub(super) struct Tables {
    /// Captured tables and the partitions of captured ones.
    pub captured: Vec<Table>,
    pub all: Vec<TableName>,
}

impl Tables {
    /// The tables that a publication names: partitions are published through their root.
    pub fn roots(&self) -> impl Iterator<Item = &Table> {
        self.captured.iter().filter(|t| t.root.is_none())
    }
}

const TABLES_SQL: &str = "SELECT n.nspname::text, c.relname::text, rn.nspname::text, rc.relname::text, c.relkind = 'p', \
     c.relreplident::text, \
     EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid), \
     EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid), \
     has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'), \
     row_security_active(c.oid), c.relpersistence <> 'p' \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_class rc ON c.relispartition AND rc.oid = pg_partition_root(c.oid) \
     LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace \
     WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
     AND n.nspname NOT IN ('information_schema', 'pgtape') AND n.nspname !~ '^pg_' ORDER BY 1, 2";

/// Reads the catalog.
pub(super) async fn read(session: &Session, config: &Config) -> Result<Tables, pg::Error> {
    let targets: Vec<TableName> = config.rollups.names.iter().filter_map(|n| TableName::parse(n)).collect();
    let name = |schema: Option<String>, table: Option<String>| Some(TableName::new(&schema?, &table?));
    let mut tables = Tables { captured: Vec::new(), all: Vec::new() };
    // row_security_active() says what row_security=off would refuse.
    session.batch_execute("SET row_security = on").await?;
    for row in session.query(TABLES_SQL, &[]).await? {
        let table = Table {
            name: TableName::new(row.get(0), row.get(1)),
            root: name(row.get(2), row.get(3)),
            partitioned: row.get(4),
            identity: row.get(5),
            has_primary_key: row.get(6),
            has_identity_index: row.get(7),
            may_select: row.get(8),
            hides_rows: row.get(9),
            unlogged: row.get(10),
        };
        let published_as = table.root.as_ref().unwrap_or(&table.name);
        if table.root.is_none() {
            tables.all.push(table.name.clone());
        }
        let meant = config.source.tables.iter().any(|p| p.matches(published_as));
        if meant && !targets.contains(published_as) {
            tables.captured.push(table);
        }
    }
    Ok(tables)
}

/// Checks them all.
pub(super) fn examine(tables: &Tables, config: &Config) -> Vec<Check> {
    let mut checks = patterns(tables, config);
    if checks.is_empty() {
        checks.push(Check::ok("tables", format!("{} captured", tables.roots().count())));
    }
    checks.extend(each(tables, "replica_identity", "can be published with updates and deletes", identity));
    checks.extend(each(tables, "select_privilege", "can be read", readable));
    checks
}

/// Makes `check` of every table; one line says that all is well.
fn each(tables: &Tables, name: &'static str, well: &str, check: fn(&Table) -> Option<Check>) -> Vec<Check> {
    let found: Vec<Check> = tables.captured.iter().filter_map(check).collect();
    if found.is_empty() && !tables.captured.is_empty() {
        return vec![Check::ok(name, format!("all {} tables and partitions {well}", tables.captured.len()))];
    }
    found
}

fn patterns(tables: &Tables, config: &Config) -> Vec<Check> {
    let matches_none = config.source.tables.iter().filter(|p| !tables.all.iter().any(|t| p.matches(t)));
    let there: Vec<String> = tables.all.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    let there = if there.is_empty() { "no tables at all".to_owned() } else { there.join(", ") };
    matches_none
        .map(|pattern| {
            let (what, fix) = (format!("'{pattern}' matches no table"), format!("-- this database has {there}"));
            if config.built_in {
                // Nobody has asked for the five engines' tables.
                Check::advice("tables", what, format!("-- run pgtape migrate up, or pass --tables; {}", &fix[3..]))
            } else {
                Check::finding("tables", what, fix)
            }
        })
        .collect()
}

/// Postgres would refuse the *engine's* update or delete of a published table without one.
fn identity(table: &Table) -> Option<Check> {
    if table.partitioned {
        return None; // No rows of its own: the leaves count.
    }
    let usable = match table.identity.as_str() {
        "f" => true,
        "d" => table.has_primary_key,
        "i" => table.has_identity_index,
        _ => false,
    };
    if usable {
        return None;
    }
    let why = match table.identity.as_str() {
        "n" => "has REPLICA IDENTITY NOTHING",
        "i" => "has lost the index of its replica identity",
        _ => "has no primary key",
    };
    let what = if table.root.is_some() { "partition" } else { "table" };
    let message = format!("{what} {} {why}: its updates and deletes would fail once published", table.name);
    Some(Check::finding(
        "replica_identity",
        message,
        format!("ALTER TABLE {} REPLICA IDENTITY FULL;", pg::table(&table.name)),
    ))
}

fn readable(table: &Table) -> Option<Check> {
    if table.root.is_some() {
        return None; // Read through the root.
    }
    let name = pg::table(&table.name);
    if table.unlogged {
        let message = format!("table {} is unlogged: its changes are in no WAL", table.name);
        return Some(Check::finding("logged", message, format!("ALTER TABLE {name} SET LOGGED;")));
    }
    if !table.may_select {
        let fix = format!(
            "GRANT USAGE ON SCHEMA {} TO CURRENT_ROLE_OF_PGTAPE; GRANT SELECT ON {name} TO CURRENT_ROLE_OF_PGTAPE;",
            pg::identifier(&table.name.schema)
        );
        return Some(Check::finding("select_privilege", format!("table {} may not be read", table.name), fix));
    }
    if table.hides_rows {
        let message = format!("row security hides rows of table {} from this role", table.name);
        return Some(Check::finding("row_security", message, "ALTER ROLE CURRENT_ROLE_OF_PGTAPE BYPASSRLS;"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_whose_updates_would_fail_is_found() {
        let check = |identity_is: &str, primary_key: bool, index: bool, want: bool| {
            let table = Table {
                name: TableName::new("s", "t"),
                root: None,
                partitioned: false,
                identity: identity_is.into(),
                has_primary_key: primary_key,
                has_identity_index: index,
                may_select: true,
                hides_rows: false,
                unlogged: false,
            };
            assert_eq!(identity(&table).is_some(), want, "{identity_is} {primary_key} {index}");
        };
        check("d", true, false, false);
        check("d", false, false, true);
        check("f", false, false, false);
        check("i", false, true, false);
        check("i", true, false, true);
        check("n", true, true, true);
    }
}
