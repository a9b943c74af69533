//! The migrator's steps against the server, each whole or not at all.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::catalog::{BOOTSTRAP, MIGRATIONS, Migration};
use super::{Error, Outcome};
use crate::pg::{self, Purpose, SqlState};
use crate::refusal::{Kind, Refusal};

/// "pgtape" in ASCII: the advisory lock that two migrators of one database meet at.
const LOCK_KEY: i64 = 0x7067_7461_7065;

/// How long to wait for another migrator.
const LOCK_TIMEOUT_MS: u32 = 60_000;

/// How long a statement may wait for a table lock: engines queue behind it meanwhile.
const TABLE_LOCK_TIMEOUT_MS: u32 = 5_000;

/// What the database says is applied: (unit, version) to checksum.
pub struct Recorded(BTreeMap<(String, i32), String>);

impl Recorded {
    /// Whether the migration is applied.
    pub fn contains(&self, migration: &Migration) -> bool {
        self.0.contains_key(&(migration.unit.to_owned(), migration.version))
    }

    /// Whether anything of the unit is applied.
    pub fn holds_unit(&self, unit: &str) -> bool {
        self.0.keys().any(|(held, _)| held == unit)
    }

    /// Refuses files that changed after they were applied, and records that this program does not know.
    pub fn check(&self, selected: &[&Migration]) -> Result<(), Refusal> {
        for ((unit, version), checksum) in &self.0 {
            let Some(known) = MIGRATIONS.iter().find(|m| m.unit == unit && m.version == *version) else {
                return Err(Refusal::new(
                    Kind::Server,
                    format!("the database has migration {unit}/{version:04}, which this pgtape does not know"),
                    "use the newer pgtape that applied it",
                ));
            };
            let meant = selected.iter().any(|m| m.unit == unit && m.version == *version);
            if meant && known.checksum() != *checksum {
                return Err(Refusal::new(
                    Kind::Server,
                    format!("migration {}.up.sql was applied with other contents", known.path),
                    "use the pgtape that applied it; a change belongs in a new migration",
                ));
            }
        }
        Ok(())
    }
}

/// Tables (a partitioned one is one), rows by the server's statistics, and bytes, by schema.
const HELD: &str = "SELECT n.nspname::text, count(*) FILTER (WHERE NOT c.relispartition), \
        coalesce(sum(greatest(c.reltuples::bigint, s.n_live_tup, 0)) FILTER (WHERE c.relkind = 'r'), 0)::bigint, \
        coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid \
     WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY($1::text[]) GROUP BY 1 ORDER BY 1";

/// The slot that a pgtape streams from, in this database.
const STREAMED: &str = "SELECT s.slot_name::text FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid \
     WHERE s.database = current_database() AND s.plugin = 'pgoutput' AND a.application_name = $1 ORDER BY 1 LIMIT 1";

/// A session that migrates.
pub struct Migrator {
    session: pg::Session,
}

/// What a schema holds.
pub(super) struct Held {
    pub schema: String,
    pub tables: i64,
    /// By the server's statistics.
    pub rows_about: i64,
    pub bytes: i64,
}

impl Migrator {
    /// Opens the session.
    pub async fn connect(address: &pg::Address) -> Result<Self, Error> {
        let session = pg::connect(address, Purpose::Migrate).await.map_err(|e| fail("connect", e))?;
        Ok(Self { session })
    }

    /// The slot through which a pgtape streams from this database, if one does.
    pub(super) async fn streamed(&self) -> Result<Option<String>, Error> {
        let found = self.session.query_opt(STREAMED, &[&Purpose::Stream.application_name()]).await;
        Ok(found.map_err(|e| fail("look who streams", e.into()))?.map(|row| row.get(0)))
    }

    /// Waits until no other migrator works on this database.
    pub async fn lock(&self) -> Result<(), Error> {
        let lock =
            format!("SET lock_timeout = {LOCK_TIMEOUT_MS}; SELECT pg_advisory_lock({LOCK_KEY}); SET lock_timeout = 0");
        let result = self.session.batch_execute(&lock).await.map_err(pg::Error::from);
        result.map_err(|error| match error {
            error if error.is(&SqlState::LOCK_NOT_AVAILABLE) => Error::Refused(Refusal::new(
                Kind::Locked,
                format!("another migrator has been at work for {} s", LOCK_TIMEOUT_MS / 1000),
                "wait for it; pg_locks with locktype 'advisory' shows its pid",
            )),
            error => fail("take the migration lock", error),
        })
    }

    /// Lets the next migrator in. The end of the session would, a little later.
    pub async fn unlock(&self) {
        if let Err(error) = self.session.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK_KEY})")).await {
            tracing::debug!(%error, "unlock migrations");
        }
    }

    /// Makes the table of records where there is none.
    pub async fn bootstrap(&self) -> Result<(), Error> {
        if !self.has_records().await? {
            self.session.batch_execute(BOOTSTRAP).await.map_err(|e| fail("make table pgtape.migration", e.into()))?;
        }
        Ok(())
    }

    async fn has_records(&self) -> Result<bool, Error> {
        let found = self.session.query_one("SELECT to_regclass('pgtape.migration') IS NOT NULL", &[]).await;
        Ok(found.map_err(|e| fail("look for pgtape.migration", e.into()))?.get(0))
    }

    /// Reads the records.
    pub async fn recorded(&self) -> Result<Recorded, Error> {
        if !self.has_records().await? {
            return Ok(Recorded(BTreeMap::new()));
        }
        let rows = self.session.query("SELECT unit, version, checksum FROM pgtape.migration", &[]).await;
        let rows = rows.map_err(|e| fail("read pgtape.migration", e.into()))?;
        Ok(Recorded(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()))
    }

    /// What these schemas hold, those with tables only.
    pub async fn held(&self, schemas: &[&str]) -> Result<Vec<Held>, Error> {
        let rows = self.session.query(HELD, &[&schemas]).await;
        let rows = rows.map_err(|e| fail("look at what there is to lose", e.into()))?;
        let held =
            |row: &Row| Held { schema: row.get(0), tables: row.get(1), rows_about: row.get(2), bytes: row.get(3) };
        Ok(rows.iter().map(held).collect())
    }

    /// Runs the file and records it, in one transaction. A migration of roles is skipped where it is not permitted.
    pub async fn apply(&mut self, migration: &Migration) -> Result<Outcome, Error> {
        let result = self.in_transaction(migration.up, Record::Add(migration)).await;
        match result {
            Ok(()) => Ok(Outcome::Applied),
            Err(error) if migration.is_optional() && error.is(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Ok(Outcome::Skipped(format!(
                    "this log-in may not make roles ({error}); run `migrate up` once as one that may"
                )))
            }
            Err(error) => Err(fail(&format!("apply {}.up.sql", migration.path), error)),
        }
    }

    /// Runs the way back and removes the record, in one transaction.
    pub async fn revert(&mut self, migration: &Migration) -> Result<(), Error> {
        let result = self.in_transaction(migration.down, Record::Remove(migration)).await;
        result.map_err(|error| fail(&format!("apply {}.down.sql", migration.path), error))
    }

    async fn in_transaction(&mut self, sql: &str, record: Record<'_>) -> Result<(), pg::Error> {
        let transaction = self.session.transaction().await?;
        transaction.batch_execute(&format!("SET LOCAL lock_timeout = {TABLE_LOCK_TIMEOUT_MS}")).await?;
        transaction.batch_execute(sql).await?;
        match record {
            Record::Add(m) => {
                let insert = "INSERT INTO pgtape.migration (unit, version, name, checksum) VALUES ($1, $2, $3, $4)";
                transaction.execute(insert, &[&m.unit, &m.version, &m.name, &m.checksum()]).await?;
            }
            Record::Remove(m) => {
                let delete = "DELETE FROM pgtape.migration WHERE unit = $1 AND version = $2";
                transaction.execute(delete, &[&m.unit, &m.version]).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// When nothing is applied any more: removes the table of records, and the schema unless something else is in it.
    pub async fn tidy(&self) -> Result<(), Error> {
        if !self.has_records().await? || !self.recorded().await?.0.is_empty() {
            return Ok(());
        }
        let drop = self.session.batch_execute("DROP TABLE pgtape.migration").await;
        drop.map_err(|e| fail("drop pgtape.migration", e.into()))?;
        match self.session.batch_execute("DROP SCHEMA pgtape").await.map_err(pg::Error::from) {
            Ok(()) => Ok(()),
            Err(error) if error.is(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) => Ok(()),
            Err(error) => Err(fail("drop schema pgtape", error)),
        }
    }
}

/// What a transaction changes in the records.
enum Record<'a> {
    Add(&'a Migration),
    Remove(&'a Migration),
}

/// Sorts an error by what can be done about it.
fn fail(doing: &str, error: pg::Error) -> Error {
    if error.is(&SqlState::INSUFFICIENT_PRIVILEGE) {
        let hint = "migrate as the owner of the database, or GRANT CREATE ON DATABASE to this log-in";
        return Refusal::new(Kind::Server, format!("{doing}: {error}"), hint).into();
    }
    if error.is(&SqlState::LOCK_NOT_AVAILABLE) {
        let hint = "a transaction holds the table; migrate when the engines are quiet (nothing was changed)";
        return Refusal::new(Kind::Locked, format!("{doing}: {error}"), hint).into();
    }
    match error {
        error if error.is_retryable() => Error::Retry { doing: doing.to_owned(), source: error },
        error => Error::Refused(error.into_refusal(doing)),
    }
}
