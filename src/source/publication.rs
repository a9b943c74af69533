//! The publication: made or brought in line where our role may, else the SQL is said.
//!
//! Invariant: [`compare`] only looks. `Change::apply` is called when everything else has been checked: a start that is
//! refused leaves the publication as it was.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::model::TableName;
use crate::pg::{self, Error as PgError, Session, SqlState};
use crate::refusal::{Kind, Refusal};

use super::error::{Doing, Error};
use super::receive::publication_names;
use super::tables::CatalogTable;

/// Changing a publication waits at most this long for the locks of its tables.
const LOCK_TIMEOUT: &str = "5s";
/// Before a publication is changed, whoever streams from the database may take this long to end.
const READERS_END_WITHIN: Duration = Duration::from_secs(10);
/// And is looked at this often.
const READERS_POLL: Duration = Duration::from_millis(200);

/// A publication as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its name.
    pub name: String,
    /// Whether it names its tables one by one (else it is FOR ALL TABLES or FOR TABLES IN SCHEMA).
    pub explicit: bool,
    /// Inserts and truncates are published.
    pub inserts: bool,
    /// Updates and deletes are published.
    pub updates: bool,
    /// Changes of partitions are published as the root's.
    pub via_root: bool,
    /// What it publishes: tables by name, with their column lists and row filters where they have some.
    pub tables: Vec<Published>,
}

/// A table in a publication.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// Its name.
    pub table: TableName,
    /// Its column list, if it has one (attribute numbers).
    pub columns: Option<String>,
    /// Its row filter, if it has one.
    pub filter: Option<String>,
}

impl Publication {
    /// Whether it sends the same kinds of changes, under the same tables' names.
    #[must_use]
    pub fn sends_as(&self, other: &Self) -> bool {
        (self.inserts, self.updates, self.via_root) == (other.inserts, other.updates, other.via_root)
    }

    /// Equal publications give equal positions: tables, column lists, row filters and options, not the tables' shapes.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut text = format!("{} {} {}\n", self.inserts, self.updates, self.via_root);
        let tables: BTreeSet<&Published> = self.tables.iter().collect();
        for Published { table, columns, filter } in tables {
            text.push_str(&format!("{}\0{}\0{columns:?}\0{filter:?}\n", table.schema, table.name));
        }
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }
}

/// Reads the publication; `None` if there is none of that name.
pub async fn read(session: &Session, version: u32, name: &str) -> Result<Option<Publication>, Error> {
    const DOING: &str = "read the publication";
    let head = "SELECT oid, puballtables, pubinsert AND pubtruncate, pubupdate AND pubdelete, pubviaroot \
                FROM pg_publication WHERE pubname = $1";
    let Some(row) = session.query_opt(head, &[&name]).await.doing(DOING)? else { return Ok(None) };
    let oid: u32 = row.get(0);
    let by_schema = if version < 150_000 {
        false
    } else {
        let sql = "SELECT EXISTS (SELECT FROM pg_publication_namespace WHERE pnpubid = $1)";
        session.query_one(sql, &[&oid]).await.doing(DOING)?.get(0)
    };
    let extras = if version < 150_000 { "NULL, NULL" } else { "r.prattrs::text, pg_get_expr(r.prqual, r.prrelid)" };
    let sql = format!(
        "SELECT t.schemaname::text, t.tablename::text, {extras} FROM pg_publication_tables t \
         JOIN pg_namespace n ON n.nspname = t.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename \
         LEFT JOIN pg_publication_rel r ON r.prrelid = c.oid AND r.prpubid = $2 WHERE t.pubname = $1 ORDER BY 1, 2"
    );
    let rows = session.query(&sql, &[&name, &oid]).await.doing(DOING)?;
    let published = |row: &tokio_postgres::Row| Published {
        table: TableName::new(row.get(0), row.get(1)),
        columns: row.get(2),
        filter: row.get(3),
    };
    Ok(Some(Publication {
        name: name.to_owned(),
        explicit: !row.get::<_, bool>(1) && !by_schema,
        inserts: row.get(2),
        updates: row.get(3),
        via_root: row.get(4),
        tables: rows.iter().map(published).collect(),
    }))
}

/// What is to be done to a publication before the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whether there is a publication to change.
    pub exists: bool,
    /// The SQL; empty if all is in line.
    pub statements: Vec<String>,
    /// The publication as it is then.
    pub result: Publication,
}

/// Compares the publication with the tables `wanted`.
pub fn compare(found: Option<&Publication>, name: &str, wanted: &[&CatalogTable]) -> Result<Change, Refusal> {
    let statements = statements(found, name, wanted)?;
    let exists = found.is_some();
    let before = match found {
        Some(found) if statements.is_empty() => {
            return Ok(Change { exists, statements, result: found.clone() });
        }
        Some(found) => found.clone(),
        None => Publication {
            name: name.to_owned(),
            explicit: true,
            inserts: true,
            updates: true,
            via_root: true,
            tables: Vec::new(),
        },
    };
    let as_before = |table: &CatalogTable| {
        let published = before.tables.iter().find(|p| p.table == table.name);
        published.cloned().unwrap_or_else(|| Published { table: table.name.clone(), columns: None, filter: None })
    };
    let mut tables: Vec<Published> = wanted.iter().map(|t| as_before(t)).collect();
    tables.sort();
    let result = Publication {
        inserts: true,
        updates: before.updates || !before.inserts,
        via_root: before.via_root || wanted.iter().any(|t| t.partitioned),
        tables,
        ..before
    };
    Ok(Change { exists, statements, result })
}

/// The statements that bring the publication in line with `wanted`; none if it is.
fn statements(found: Option<&Publication>, name: &str, wanted: &[&CatalogTable]) -> Result<Vec<String>, Refusal> {
    let quoted = pg::identifier(name);
    let spelled = |t: &CatalogTable| format!("{}{}", if t.partitioned { "" } else { "ONLY " }, pg::table(&t.name));
    let Some(found) = found else {
        let list: Vec<String> = wanted.iter().map(|t| spelled(t)).collect();
        let list = list.join(", ");
        return Ok(vec![format!(
            "CREATE PUBLICATION {quoted} FOR TABLE {list} WITH (publish_via_partition_root = true);"
        )]);
    };
    let missing: Vec<String> = wanted.iter().filter(|t| !found.has(&t.name)).map(|t| spelled(t)).collect();
    let extra: Vec<String> = found
        .tables
        .iter()
        .filter(|p| !wanted.iter().any(|t| t.name == p.table))
        .map(|p| pg::table(&p.table))
        .collect();
    if !found.explicit && (!missing.is_empty() || !extra.is_empty()) {
        let list = [missing, extra].concat().join(", ");
        return Err(Refusal::new(
            Kind::Server,
            format!(
                "publication {name} does not name its tables one by one, and differs from the tables asked for in {list}"
            ),
            "ask for the tables it publishes, or name another --publication, which pgtape makes",
        ));
    }
    let mut statements = Vec::new();
    if !found.inserts {
        statements.push(format!("ALTER PUBLICATION {quoted} SET (publish = 'insert, update, delete, truncate');"));
    }
    if !found.via_root && wanted.iter().any(|t| t.partitioned) {
        statements.push(format!("ALTER PUBLICATION {quoted} SET (publish_via_partition_root = true);"));
    }
    if !missing.is_empty() {
        statements.push(format!("ALTER PUBLICATION {quoted} ADD TABLE {};", missing.join(", ")));
    }
    if !extra.is_empty() {
        statements.push(format!("ALTER PUBLICATION {quoted} DROP TABLE {};", extra.join(", ")));
    }
    Ok(statements)
}

impl Publication {
    /// Whether it publishes the table.
    #[must_use]
    pub fn has(&self, table: &TableName) -> bool {
        self.tables.iter().any(|published| published.table == *table)
    }
}

/// A publication is never changed under a service that streams it: it would lose rows and not know. One that is just
/// ending is waited for.
async fn refuse_if_read(session: &Session, name: &str) -> Result<(), Error> {
    let sql = "SELECT s.slot_name::text, a.query FROM pg_replication_slots s LEFT JOIN pg_stat_activity a \
               ON a.pid = s.active_pid WHERE s.active AND s.plugin = 'pgoutput' AND s.database = current_database()";
    let begun = Instant::now();
    loop {
        let rows = session.query(sql, &[]).await.doing("look who streams")?;
        let reads = |row: &&tokio_postgres::Row| may_read(row.get(1), name);
        let readers: Vec<String> = rows.iter().filter(reads).map(|row| row.get(0)).collect();
        if readers.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > READERS_END_WITHIN {
            let readers = readers.join(", ");
            let what = format!(
                "other tables than publication {name} has are asked for, while slot {readers} is streamed from"
            );
            let hint = "stop that pgtape first, or name another --publication and --slot";
            return Err(Refusal::new(Kind::Slot, what, hint).into());
        }
        tokio::time::sleep(READERS_POLL).await;
    }
}

/// Whether a walsender may be reading publication `name`, by its command as `pg_stat_activity` shows it. Yes, unless the
/// command is there as a whole and names others: it is NULL or replaced by a remark where our role may not see it, empty
/// without `track_activities`, and cut at `track_activity_query_size`.
fn may_read(command: Option<&str>, name: &str) -> bool {
    let command = command.unwrap_or_default().trim();
    let names = command.strip_prefix("START_REPLICATION").and_then(|rest| rest.split_once("publication_names"));
    let Some((_, names)) = names.filter(|_| command.ends_with(')')) else { return true };
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let unquoted = names.split(|c| !is_word(c)).any(|word| word.eq_ignore_ascii_case(name));
    unquoted || names.contains(&publication_names(name))
}

impl Change {
    /// Makes the publication, or brings it in line. A role that may not is told the SQL for one that may.
    pub(super) async fn apply(&self, session: &Session, version: u32) -> Result<(), Error> {
        if self.statements.is_empty() {
            return Ok(());
        }
        let name = &self.result.name;
        if self.exists {
            refuse_if_read(session, name).await?;
        }
        let sql = self.statements.join(" ");
        let bounded = format!("SET lock_timeout = '{LOCK_TIMEOUT}'; {sql} SET lock_timeout = 0;");
        match session.batch_execute(&bounded).await.map_err(PgError::from) {
            Ok(()) => tracing::info!(publication = name, %sql, "publication brought in line"),
            Err(error) if error.is(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                let what = format!("publication {name} is not as needed, and the role may not change it: {error}");
                return Err(Refusal::new(Kind::Server, what, format!("as the owner of the tables: {sql}")).into());
            }
            Err(error) if error.is(&SqlState::LOCK_NOT_AVAILABLE) => {
                let what =
                    format!("publication {name} cannot be changed: a table was locked for {LOCK_TIMEOUT}: {error}");
                let hint = "start again when the transaction that holds it has ended";
                return Err(Refusal::new(Kind::Server, what, hint).into());
            }
            Err(error) => return Err(Error::from_pg("bring the publication in line", error)),
        }
        match read(session, version, name).await? {
            Some(now) if now.fingerprint() == self.result.fingerprint() => Ok(()),
            _ => Err(Error::Retry(format!("publication {name} was changed by somebody else while it was made"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Identity;

    fn table(name: &str, partitioned: bool) -> CatalogTable {
        CatalogTable {
            oid: 1,
            name: TableName::parse(name).unwrap(),
            partitioned,
            logged: true,
            identity: Identity::Default,
            identity_exists: true,
            has_primary_key: true,
            readable: true,
            root: None,
        }
    }

    fn publication(tables: &[&str]) -> Publication {
        let published = |name: &&str| Published { table: TableName::parse(name).unwrap(), columns: None, filter: None };
        Publication {
            name: "p".into(),
            explicit: true,
            inserts: true,
            updates: true,
            via_root: true,
            tables: tables.iter().map(published).collect(),
        }
    }

    #[test]
    fn only_what_differs_is_altered() {
        let (a, log) = (table("s.a", false), table("s.log", true));
        let wanted = [&a, &log];
        let check = |found: Option<Publication>, want: &[&str]| {
            assert_eq!(statements(found.as_ref(), "p", &wanted).unwrap(), want);
        };
        check(
            None,
            &[r#"CREATE PUBLICATION "p" FOR TABLE ONLY "s"."a", "s"."log" WITH (publish_via_partition_root = true);"#],
        );
        check(Some(publication(&["s.a", "s.log"])), &[]);
        check(
            Some(publication(&["s.log", "s.b"])),
            &[r#"ALTER PUBLICATION "p" ADD TABLE ONLY "s"."a";"#, r#"ALTER PUBLICATION "p" DROP TABLE "s"."b";"#],
        );
        check(
            Some(Publication { via_root: false, ..publication(&["s.a", "s.log"]) }),
            &[r#"ALTER PUBLICATION "p" SET (publish_via_partition_root = true);"#],
        );
        let everything = Publication { explicit: false, ..publication(&["s.a", "s.log", "s.b"]) };
        assert!(statements(Some(&everything), "p", &wanted).is_err());
    }

    #[test]
    fn what_the_publication_will_be_is_known_before_it_is_changed() {
        let (a, log) = (table("s.a", false), table("s.log", true));
        let wanted = [&a, &log];
        let made = compare(None, "p", &wanted).unwrap();
        assert_eq!((made.exists, &made.result), (false, &publication(&["s.a", "s.log"])));
        let mut found = Publication { inserts: false, updates: false, via_root: false, ..publication(&["s.b", "s.a"]) };
        found.tables[1].columns = Some("1 2".into());
        let changed = compare(Some(&found), "p", &wanted).unwrap();
        assert_eq!(changed.statements.len(), 4);
        let mut result = publication(&["s.a", "s.log"]);
        result.tables[0].columns = Some("1 2".into());
        assert_eq!(changed.result, result);
    }

    #[test]
    fn who_streams_other_publications_is_not_in_the_way() {
        let check = |command: Option<&str>, name: &str, want: bool| {
            assert_eq!(may_read(command, name), want, "{command:?} for {name}");
        };
        let stream = |names: &str| {
            let options = format!("(proto_version '1', publication_names '{names}', messages 'true')");
            format!("START_REPLICATION SLOT \"mine\" LOGICAL 0/1 {options}")
        };
        check(Some(&stream("\"theirs\"")), "mine", false);
        check(Some(&stream("\"mine\"")), "mine", true);
        check(Some(&stream("\"theirs\",\"mine\"")), "mine", true);
        check(Some(&stream("theirs, Mine")), "mine", true);
        check(Some(&stream("\"mine2\",not_mine")), "mine", false);
        check(Some(&stream("\"it''s \"\"ours\"\"\"")), "it's \"ours\"", true);
        check(None, "mine", true);
        check(Some(""), "mine", true);
        check(Some("<insufficient privilege>"), "mine", true);
        check(Some("SELECT pg_logical_slot_get_binary_changes(publication_names)"), "mine", true);
        check(
            Some("START_REPLICATION SLOT \"mine\" LOGICAL 0/1 (proto_version '1', publication_names '\"thei"),
            "mine",
            true,
        );
    }

    #[test]
    fn the_fingerprint_knows_tables_and_options_and_no_order() {
        let base = publication(&["s.a", "s.b"]).fingerprint();
        assert_eq!(publication(&["s.b", "s.a"]).fingerprint(), base);
        assert_ne!(publication(&["s.a"]).fingerprint(), base);
        assert_ne!(Publication { updates: false, ..publication(&["s.a", "s.b"]) }.fingerprint(), base);
        assert_ne!(Publication { via_root: false, ..publication(&["s.a", "s.b"]) }.fingerprint(), base);
    }
}
