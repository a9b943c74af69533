//! Which tables are captured: patterns against the catalog, and whether each may be published without harm.
//!
//! Invariant: UPDATE or DELETE of a table, or of any leaf of it, is published only if Postgres can tell its rows apart;
//! otherwise the *engine's* statement would fail. Pure but for the one catalog question.

use std::collections::BTreeSet;

use crate::model::{Identity, Pattern, TableName};
use crate::pg::{self, Session};
use crate::refusal::{Kind, Refusal};

use super::error::{Doing, Error};

/// How many near names a refusal shows.
const NEAREST_MAX: usize = 3;

/// A table of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogTable {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: TableName,
    /// Whether it is partitioned: its rows live in leaves.
    pub partitioned: bool,
    /// Whether its changes are in the WAL.
    pub logged: bool,
    /// Its replica identity.
    pub identity: Identity,
    /// Whether that identity exists: under `Default` a primary key, under `Index` its index, both checked at once.
    pub identity_exists: bool,
    /// Whether it has a primary key.
    pub has_primary_key: bool,
    /// Whether our role may read it.
    pub readable: bool,
    /// For a partition: the topmost partitioned table.
    pub root: Option<u32>,
}

impl CatalogTable {
    /// Whether Postgres can tell its rows apart.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.identity == Identity::Full || self.identity_exists
    }
}

const CATALOG: &str = "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'p', c.relpersistence = 'p', \
     c.relreplident::text, \
     EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate \
       AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END), \
     EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), \
     has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), \
     CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";

/// Every table of the database that is not Postgres's own.
pub async fn read_catalog(session: &Session) -> Result<Vec<CatalogTable>, Error> {
    let rows = session.query(CATALOG, &[]).await.doing("read the catalog")?;
    let table = |row: &tokio_postgres::Row| CatalogTable {
        oid: row.get(0),
        name: TableName::new(row.get(1), row.get(2)),
        partitioned: row.get(3),
        logged: row.get(4),
        identity: identity(row.get(5)),
        identity_exists: row.get(6),
        has_primary_key: row.get(7),
        readable: row.get(8),
        root: row.get(9),
    };
    let mut tables: Vec<CatalogTable> = rows.iter().map(table).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tables)
}

/// `relreplident`.
pub(super) fn identity(code: &str) -> Identity {
    match code {
        "f" => Identity::Full,
        "n" => Identity::Nothing,
        "i" => Identity::Index,
        _ => Identity::Default,
    }
}

/// The tables that the patterns mean, in the order of their names. Leaves stand behind their root; `pgtape.*` and the
/// excluded are never meant by a `*`, and refused by name.
pub fn choose<'a>(
    catalog: &'a [CatalogTable],
    patterns: &[Pattern],
    excluded: &[TableName],
) -> Result<Vec<&'a CatalogTable>, Refusal> {
    let ours = |table: &CatalogTable| &*table.name.schema == "pgtape" || excluded.contains(&table.name);
    let mut chosen: Vec<&CatalogTable> = Vec::new();
    for pattern in patterns {
        let mut matched = false;
        for table in catalog.iter().filter(|table| pattern.matches(&table.name)) {
            match (pattern.is_literal(), ours(table), table.logged) {
                (true, true, _) => return Err(written_by_us(table)),
                (true, false, false) => return Err(unlogged(table)),
                (false, true, _) | (false, false, false) => {}
                (_, false, true) => {
                    matched = true;
                    chosen.push(table);
                }
            }
        }
        if !matched {
            return Err(nothing_matches(catalog, pattern));
        }
    }
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    chosen.dedup_by_key(|table| table.oid);
    let oids: Vec<u32> = chosen.iter().map(|table| table.oid).collect();
    chosen.retain(|table| table.root.is_none_or(|root| !oids.contains(&root)));
    Ok(chosen)
}

fn written_by_us(table: &CatalogTable) -> Refusal {
    let what = format!("{} is written by pgtape itself and cannot be captured", table.name);
    Refusal::new(Kind::Usage, what, "leave it out of the tables")
}

fn unlogged(table: &CatalogTable) -> Refusal {
    let hint = format!("ALTER TABLE {} SET LOGGED; or leave it out", pg::table(&table.name));
    Refusal::new(Kind::Server, format!("table {} is not logged: its changes are not in the WAL", table.name), hint)
}

fn nothing_matches(catalog: &[CatalogTable], pattern: &Pattern) -> Refusal {
    let wanted = pattern.to_string();
    let mut near: Vec<(usize, String)> =
        catalog.iter().map(|t| t.name.to_string()).map(|name| (distance(&wanted, &name), name)).collect();
    near.sort();
    near.truncate(NEAREST_MAX);
    let names: Vec<&str> = near.iter().map(|(_, name)| name.as_str()).collect();
    let nearest =
        if names.is_empty() { "the database has no tables".into() } else { format!("nearest: {}", names.join(", ")) };
    let hint =
        format!("{nearest}; name tables that are there with --tables, or make the engines' with `pgtape migrate up`");
    Refusal::new(Kind::Server, format!("no table matches {wanted}"), hint)
}

/// Edits (insert, remove, replace a character) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replace = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Refuses tables whose updates would fail once published, and tables our role cannot read. `catalog` supplies leaves.
pub fn check(catalog: &[CatalogTable], chosen: &[&CatalogTable], user: &str) -> Result<(), Refusal> {
    check_identity(catalog, chosen)?;
    check_readable(chosen, user)
}

/// Refuses tables whose updates would fail once published. `catalog` supplies leaves.
pub fn check_identity(catalog: &[CatalogTable], chosen: &[&CatalogTable]) -> Result<(), Refusal> {
    let mut unusable: Vec<&CatalogTable> = Vec::new();
    for &table in chosen {
        if !table.is_usable() {
            unusable.push(table);
        }
        let leaves = catalog.iter().filter(|leaf| leaf.root == Some(table.oid) && !leaf.partitioned);
        unusable.extend(leaves.filter(|leaf| !leaf_fits(table, leaf)));
    }
    if unusable.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = unusable.iter().map(|t| t.name.to_string()).collect();
    let alter = |t: &&CatalogTable| format!("ALTER TABLE {} REPLICA IDENTITY FULL;", pg::table(&t.name));
    let statements: Vec<String> = unusable.iter().map(alter).collect();
    Err(Refusal::new(
        Kind::Server,
        format!("published, updates and deletes of {} would fail: no usable replica identity", names.join(", ")),
        format!("give it a primary key, or: {}", statements.join(" ")),
    ))
}

/// Refuses tables that the role `user` cannot read.
pub fn check_readable(chosen: &[&CatalogTable], user: &str) -> Result<(), Refusal> {
    let unreadable: Vec<&CatalogTable> = chosen.iter().filter(|table| !table.readable).copied().collect();
    if unreadable.is_empty() {
        return Ok(());
    }
    let role = pg::identifier(user);
    let schemas: BTreeSet<&str> = unreadable.iter().map(|table| &*table.name.schema).collect();
    let usage = schemas.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {role};", pg::identifier(schema)));
    let select = unreadable.iter().map(|table| format!("GRANT SELECT ON {} TO {role};", pg::table(&table.name)));
    let grants: Vec<String> = usage.chain(select).collect();
    let names: Vec<String> = unreadable.iter().map(|table| pg::table(&table.name)).collect();
    let what = format!("the role {user} may not read {}", names.join(", "));
    Err(Refusal::new(Kind::Server, what, format!("as their owner: {}", grants.join(" "))))
}

/// Whether what is sent of the leaf's old rows is what the root's description promises.
fn leaf_fits(root: &CatalogTable, leaf: &CatalogTable) -> bool {
    leaf.identity == Identity::Full
        || leaf.is_usable()
            && (leaf.identity == root.identity
                || root.identity == Identity::Full && root.has_primary_key && leaf.identity == Identity::Default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: u32, name: &str) -> CatalogTable {
        CatalogTable {
            oid,
            name: TableName::parse(name).unwrap(),
            partitioned: false,
            logged: true,
            identity: Identity::Default,
            identity_exists: true,
            has_primary_key: true,
            readable: true,
            root: None,
        }
    }

    fn catalog() -> Vec<CatalogTable> {
        let mut tables = vec![
            table(1, "pgtape.heartbeat"),
            table(2, "shop.a b.c"),
            CatalogTable { partitioned: true, ..table(3, "shop.log") },
            CatalogTable { root: Some(3), ..table(4, "shop.log_1") },
            CatalogTable { logged: false, ..table(5, "shop.scratch") },
            table(6, "shop.totals"),
        ];
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables
    }

    fn chosen(patterns: &str) -> Result<Vec<String>, Refusal> {
        let excluded = [TableName::new("shop", "totals")];
        let catalog = catalog();
        let chosen = choose(&catalog, &Pattern::parse_list(patterns).unwrap(), &excluded)?;
        Ok(chosen.iter().map(|t| t.name.to_string()).collect())
    }

    #[test]
    fn globs_take_roots_and_leave_out_what_pgtape_writes() {
        let check = |patterns: &str, want: &[&str]| assert_eq!(chosen(patterns).unwrap(), want, "{patterns}");
        check("shop.*", &["shop.a b.c", "shop.log"]);
        check("*.*", &["shop.a b.c", "shop.log"]);
        check("shop.log_*", &["shop.log_1"]);
        check("shop.log,shop.log,shop.a b.c", &["shop.a b.c", "shop.log"]);
    }

    #[test]
    fn what_matches_nothing_or_must_not_be_captured_is_refused() {
        let check = |patterns: &str, kind: Kind, text: &str| {
            let refusal = chosen(patterns).unwrap_err();
            assert_eq!(refusal.kind, kind, "{patterns}");
            assert!(refusal.to_string().contains(text), "{refusal}");
        };
        check("shop.logs", Kind::Server, "nearest: shop.log, shop.log_1");
        check("shop.*,shop.x*", Kind::Server, "no table matches shop.x*");
        check("shop.totals", Kind::Usage, "written by pgtape itself");
        check("pgtape.*", Kind::Server, "no table matches");
        check("shop.scratch", Kind::Server, "SET LOGGED");
    }

    #[test]
    fn every_leaf_needs_an_identity_of_its_own() {
        let refused = |root: CatalogTable, leaf: CatalogTable| {
            let tables = [CatalogTable { partitioned: true, ..root }, CatalogTable { root: Some(1), ..leaf }];
            super::check(&tables, &[&tables[0]], "reader").map_err(|r| r.to_string()).err()
        };
        let full = |oid, has_primary_key| CatalogTable {
            identity: Identity::Full,
            identity_exists: false,
            has_primary_key,
            ..table(oid, if oid == 1 { "s.root" } else { "s.leaf" })
        };
        let none = CatalogTable { identity_exists: false, has_primary_key: false, ..table(2, "s.leaf") };
        assert_eq!(refused(table(1, "s.root"), table(2, "s.leaf")), None);
        assert_eq!(refused(full(1, false), full(2, false)), None);
        assert_eq!(refused(full(1, true), table(2, "s.leaf")), None);
        let text = refused(full(1, false), none).unwrap();
        assert!(text.contains("ALTER TABLE \"s\".\"leaf\" REPLICA IDENTITY FULL;"), "{text}");
        assert!(!text.contains("\"root\""), "{text}");
        let unreadable = CatalogTable { readable: false, ..table(1, "s.root") };
        assert!(refused(unreadable, table(2, "s.leaf")).unwrap().contains("GRANT SELECT"));
    }
}
