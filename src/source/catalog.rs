//! Tables as the catalog describes them: the same Relation that the stream will announce, and what it will not say.
//!
//! Asked within a snapshot, the answer is of that snapshot: only plain catalog tables are read, none of the functions
//! that look at the catalog as it is now.

use std::collections::BTreeMap;

use crate::model::{Column, Relation, TableName};
use crate::pg::Session;
use crate::pgoutput::{Lineage, TableFacts, encode_relation, encode_type};

use super::error::{Doing, Error};
use super::tables::identity;

/// OIDs from here on are not built in: the stream names such types before it uses them (`FirstGenbkiObjectId`).
const FIRST_NAMED_TYPE: u32 = 10_000;

/// A published table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Relation, primary key and indexes.
    pub facts: TableFacts,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// The publication's row filter.
    pub filter: Option<String>,
    /// Type messages that must stand before its Relation message.
    pub types: BTreeMap<u32, Vec<u8>>,
}

impl Described {
    /// The Relation message, byte for byte as the stream announces the table.
    #[must_use]
    pub fn relation_message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        encode_relation(&self.facts.relation, &mut out);
        out
    }
}

/// Columns of `i`, in the order of the index's definition; NULL in it for an expression.
const INDEX_COLUMNS: &str = "ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY k(num, at) \
     LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num AND a.attnum > 0 \
     WHERE k.at <= i.indnkeyatts ORDER BY k.at)";

/// A table is a member by its name, that of a table it is a partition of, its schema, or because all tables are. The
/// publication's own row changes with its options: what was not published meanwhile is missed, too.
fn membership(version: u32) -> String {
    let by_schema = "SELECT min(s.oid) FROM lines JOIN pg_class k ON k.oid = lines.above \
         JOIN pg_publication_namespace s ON s.pnpubid = p.oid AND s.pnnspid = k.relnamespace WHERE lines.leaf = c.oid";
    format!(
        "SELECT coalesce((SELECT min(r.oid) FROM lines JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = lines.above \
           WHERE lines.leaf = c.oid), ({}), CASE WHEN p.puballtables THEN p.oid END) AS oid",
        if version < 150_000 { "NULL" } else { by_schema }
    )
}

/// Asks for published tables, of $1 schemas and $3 names, in publication $2.
fn question(version: u32) -> String {
    let (list, filter, join) = if version < 150_000 {
        ("", "NULL", "")
    } else {
        (
            "AND (r.prattrs IS NULL OR a.attnum = ANY (r.prattrs))",
            "pg_get_expr(r.prqual, r.prrelid)",
            "LEFT JOIN pg_publication_rel r ON r.prrelid = c.oid AND r.prpubid = p.oid",
        )
    };
    let column = |what: &str| {
        format!(
            "ARRAY(SELECT {what} FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
             AND NOT a.attisdropped AND a.attgenerated = '' {list} ORDER BY a.attnum)"
        )
    };
    format!(
        "WITH RECURSIVE wanted AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
           WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $3::text[]))), \
         lines(leaf, above) AS (SELECT oid, oid FROM wanted UNION ALL SELECT l.leaf, i.inhparent FROM lines l \
           JOIN pg_class k ON k.oid = l.above AND k.relispartition JOIN pg_inherits i ON i.inhrelid = l.above) \
         SELECT c.oid, n.nspname::text, c.relname::text, c.relreplident::text, c.relkind = 'p', {filter}, {}, {}, {}, \
         (SELECT {INDEX_COLUMNS} FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate \
          AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END), \
         (SELECT {INDEX_COLUMNS} FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate AND i.indisprimary), \
         {}, format('%s/%s', member.oid, p.xmin) \
         FROM wanted JOIN pg_class c ON c.oid = wanted.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_publication p ON p.pubname = $2 {join} CROSS JOIN LATERAL ({}) member \
         WHERE member.oid IS NOT NULL ORDER BY 2, 3",
        column("a.attname::text"),
        column("a.atttypid"),
        column("a.atttypmod"),
        column("a.attnum"),
        membership(version),
    )
}

/// Describes the published tables among `tables`; those that do not exist, or are not published, are left out.
pub(super) async fn describe(
    session: &Session,
    version: u32,
    publication: &str,
    tables: &[TableName],
) -> Result<Vec<Described>, Error> {
    let schemas: Vec<&str> = tables.iter().map(|t| &*t.schema).collect();
    let names: Vec<&str> = tables.iter().map(|t| &*t.name).collect();
    let rows =
        session.query(&question(version), &[&schemas, &publication, &names]).await.doing("describe the tables")?;
    let mut described: Vec<Described> = rows.iter().map(one).collect();
    let oids: Vec<u32> = described.iter().map(|d| d.facts.relation.id).collect();
    add_indexes(session, &oids, &mut described).await?;
    add_types(session, &mut described).await?;
    Ok(described)
}

fn one(row: &tokio_postgres::Row) -> Described {
    let identity = identity(row.get(3));
    let key: Vec<Option<String>> = row.get::<_, Option<_>>(9).unwrap_or_default();
    let in_identity = |name: &str| identity == crate::model::Identity::Full || key.iter().flatten().any(|k| k == name);
    let (names, types, modifiers): (Vec<String>, Vec<u32>, Vec<i32>) = (row.get(6), row.get(7), row.get(8));
    let lineage = Lineage { attnums: row.get(11), membership: row.get(12) };
    let columns: Vec<Column> = names
        .iter()
        .zip(types.iter().zip(&modifiers))
        .map(|(name, (type_oid, type_modifier))| Column {
            name: name.as_str().into(),
            in_identity: in_identity(name),
            type_oid: *type_oid,
            type_modifier: *type_modifier,
        })
        .collect();
    let relation = Relation { id: row.get(0), table: TableName::new(row.get(1), row.get(2)), identity, columns };
    let primary_key = published(&relation, row.get::<_, Option<_>>(10).unwrap_or_default()).unwrap_or_default();
    Described {
        facts: TableFacts { relation, primary_key, indexes: Vec::new(), lineage },
        partitioned: row.get(4),
        filter: row.get(5),
        types: BTreeMap::new(),
    }
}

/// The columns of an index, if all of them are published columns.
fn published(relation: &Relation, columns: Vec<Option<String>>) -> Option<Vec<String>> {
    columns.into_iter().map(|name| name.filter(|name| relation.column(name).is_some())).collect()
}

async fn add_indexes(session: &Session, oids: &[u32], described: &mut [Described]) -> Result<(), Error> {
    let sql = format!(
        "SELECT i.indrelid, {INDEX_COLUMNS} FROM pg_index i WHERE i.indrelid = ANY ($1) AND i.indisvalid \
         AND i.indpred IS NULL AND NOT i.indisprimary ORDER BY i.indexrelid"
    );
    for row in session.query(&sql, &[&oids]).await.doing("describe the indexes")? {
        let Some(table) = described.iter_mut().find(|d| d.facts.relation.id == row.get::<_, u32>(0)) else { continue };
        if let Some(columns) = published(&table.facts.relation, row.get(1))
            && !table.facts.indexes.contains(&columns)
        {
            table.facts.indexes.push(columns);
        }
    }
    Ok(())
}

/// As `logicalrep_write_typ`: a domain is sent under its own OID with the name of its base type.
async fn add_types(session: &Session, described: &mut [Described]) -> Result<(), Error> {
    let named = |oid: &u32| *oid >= FIRST_NAMED_TYPE;
    let columns = described.iter().flat_map(|d| d.facts.relation.columns.iter());
    let oids: Vec<u32> = columns.map(|c| c.type_oid).filter(named).collect();
    if oids.is_empty() {
        return Ok(());
    }
    let sql = "WITH RECURSIVE base(oid, at) AS (SELECT o, o FROM (SELECT DISTINCT unnest($1::oid[])) d(o) \
               UNION ALL SELECT b.oid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.at WHERE t.typtype = 'd') \
               SELECT b.oid, n.nspname::text, t.typname::text FROM base b JOIN pg_type t ON t.oid = b.at \
               JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype <> 'd'";
    let mut messages = BTreeMap::new();
    for row in session.query(sql, &[&oids]).await.doing("describe the types")? {
        let mut message = Vec::new();
        encode_type(row.get(0), row.get(1), row.get(2), &mut message);
        messages.insert(row.get::<_, u32>(0), message);
    }
    for table in described {
        let oids = table.facts.relation.columns.iter().map(|c| c.type_oid);
        table.types = oids.filter_map(|oid| Some((oid, messages.get(&oid)?.clone()))).collect();
    }
    Ok(())
}

/// The files under the tables and their leaves, as of now: they change when a table is truncated or rewritten.
pub(super) async fn filenodes(session: &Session, tables: &[u32]) -> Result<Vec<(u32, Option<u32>)>, Error> {
    let sql = "SELECT o, pg_relation_filenode(o) FROM (SELECT unnest($1::oid[]) AS o UNION \
               SELECT p.relid::oid FROM unnest($1::oid[]) r, LATERAL pg_partition_tree(r::regclass) p) d ORDER BY o";
    let rows = session.query(sql, &[&tables]).await.doing("read the files of the tables")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// How large a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// The table.
    pub table: TableName,
    /// Rows, as the planner estimates; 0 when never analyzed.
    pub rows: u64,
    /// Bytes of the table and its out-of-line values on the server, all leaves.
    pub bytes: u64,
}

/// Estimates the tables' sizes without reading them.
pub(super) async fn estimate(session: &Session, tables: &[(u32, TableName)]) -> Result<Vec<TableSize>, Error> {
    let sql = "SELECT r, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint, coalesce(sum(pg_table_size(c.oid)), 0)::bigint \
               FROM unnest($1::oid[]) r CROSS JOIN LATERAL (SELECT r AS o UNION SELECT p.relid::oid FROM pg_partition_tree(r::regclass) p) m \
               JOIN pg_class c ON c.oid = m.o AND c.relkind = 'r' GROUP BY r";
    let oids: Vec<u32> = tables.iter().map(|(oid, _)| *oid).collect();
    let rows = session.query(sql, &[&oids]).await.doing("estimate the tables' sizes")?;
    let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
    let size = |row: &tokio_postgres::Row| {
        let table = tables.iter().find(|(oid, _)| *oid == row.get::<_, u32>(0))?.1.clone();
        Some(TableSize { table, rows: unsigned(row.get(1)), bytes: unsigned(row.get(2)) })
    };
    Ok(rows.iter().filter_map(size).collect())
}
