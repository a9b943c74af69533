//! The replication slot: shown, made with an exported snapshot, dropped.

use std::time::Duration;

use tokio::time::timeout;

use crate::model::Lsn;
use crate::pg::{self, Address, Error as PgError, Purpose, Session, SqlState, Wire};
use crate::refusal::{Kind, Refusal};

use super::SlotStatus;
use super::error::{Doing, Error};

/// A slot as `pg_replication_slots` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Its output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
    /// Its database; `None` for a physical slot.
    pub database: Option<String>,
    /// Whether it goes with its session.
    pub temporary: bool,
    /// The process that uses it, and that process's application name.
    pub active: Option<(i32, String)>,
    /// Everything up to here has been confirmed.
    pub confirmed: Lsn,
    /// The server keeps WAL from here; zero when it keeps none.
    pub restart: Lsn,
    /// `reserved`, `extended`, `unreserved`, `lost`; empty when unknown.
    pub wal_status: String,
    /// WAL kept for it, bytes.
    pub retained_bytes: u64,
}

impl Slot {
    /// As shown in the status.
    #[must_use]
    pub fn status(&self) -> SlotStatus {
        SlotStatus {
            active: self.active.is_some(),
            confirmed: self.confirmed,
            restart: self.restart,
            wal_status: self.wal_status.clone(),
            retained_bytes: self.retained_bytes,
        }
    }
}

const SHOW: &str = "SELECT s.plugin::text, s.database::text, s.temporary, s.active_pid, \
     coalesce(a.application_name, ''), s.confirmed_flush_lsn::text, s.restart_lsn::text, coalesce(s.wal_status, ''), \
     greatest(0, CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_current_wal_lsn() - s.restart_lsn END)::bigint \
     FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = $1";

/// The slot `name`; `None` if there is none.
pub async fn show(session: &Session, name: &str) -> Result<Option<Slot>, Error> {
    let row = session.query_opt(SHOW, &[&name]).await.doing("read the slot")?;
    let lsn = |text: Option<String>| text.and_then(|text| text.parse().ok()).unwrap_or(Lsn::ZERO);
    Ok(row.map(|row| Slot {
        name: name.to_owned(),
        plugin: row.get(0),
        database: row.get(1),
        temporary: row.get(2),
        active: row.get::<_, Option<i32>>(3).map(|pid| (pid, row.get(4))),
        confirmed: lsn(row.get(5)),
        restart: lsn(row.get(6)),
        wal_status: row.get(7),
        retained_bytes: row.get::<_, Option<i64>>(8).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
    }))
}

/// Drops the slot `name`, on a session of its own. Says whether there was one.
pub async fn drop(address: &Address, name: &str) -> Result<bool, Error> {
    let session = pg::connect(address, Purpose::Control).await.doing("connect")?;
    drop_in(&session, name).await
}

pub(super) async fn drop_in(session: &Session, name: &str) -> Result<bool, Error> {
    let sql = "SELECT pg_drop_replication_slot($1)";
    match session.execute(sql, &[&name]).await.map_err(PgError::from) {
        Ok(_) => Ok(true),
        Err(error) if error.is(&SqlState::UNDEFINED_OBJECT) => Ok(false),
        Err(error) if error.is(&SqlState::OBJECT_IN_USE) => Err(Refusal::new(
            Kind::Slot,
            format!("slot {name} is in use: {error}"),
            "stop the process that uses it (pg_stat_replication shows it), then try again",
        )
        .into()),
        Err(error) => Err(Error::from_pg("drop the slot", error)),
    }
}

/// A slot just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The snapshot shows exactly the commits whose end is at or below this; the slot brings the others.
    pub point: Lsn,
    /// The exported snapshot; it dies with the next command on the session that made it.
    pub snapshot: String,
}

/// Makes a slot that exports its snapshot. Waits for the transactions that are open now, however long they take.
pub async fn create(wire: &mut Wire, version: u32, name: &str, temporary: bool) -> Result<Created, Error> {
    let temporary = if temporary { "TEMPORARY " } else { "" };
    let export = if version < 150_000 { "EXPORT_SNAPSHOT" } else { "(SNAPSHOT 'export')" };
    let sql = format!("CREATE_REPLICATION_SLOT {} {temporary}LOGICAL pgoutput {export}", pg::identifier(name));
    let rows = wire.query(&sql).await.map_err(|error| refuse_create(name, error))?;
    let field = |at: usize| rows.first().and_then(|row| row.get(at)).and_then(Clone::clone);
    match (field(1).and_then(|point| point.parse().ok()), field(2)) {
        (Some(point), Some(snapshot)) => Ok(Created { point, snapshot }),
        _ => Err(Error::Retry("the server's answer to CREATE_REPLICATION_SLOT cannot be read".into())),
    }
}

/// Makes a temporary slot, waiting for open transactions no longer than `patience`: then `None`, and the server's process is
/// ended, which would go on waiting and not notice that nobody waits for it.
pub async fn create_within(
    wire: &mut Wire,
    asking: &Session,
    version: u32,
    name: &str,
    patience: Duration,
) -> Result<Option<Created>, Error> {
    match timeout(patience, create(wire, version, name, true)).await {
        Ok(created) => created.map(Some),
        Err(_) => {
            if let Some(process) = wire.backend_pid() {
                asking.execute("SELECT pg_terminate_backend($1)", &[&process]).await.doing("give up a slot")?;
            }
            Ok(None)
        }
    }
}

fn refuse_create(name: &str, error: PgError) -> Error {
    let hint = match error.code() {
        Some(code) if *code == SqlState::CONFIGURATION_LIMIT_EXCEEDED => "raise max_replication_slots, or drop a slot",
        Some(code) if *code == SqlState::DUPLICATE_OBJECT => "name another --slot, or drop that one",
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => "as a superuser: ALTER ROLE ... REPLICATION;",
        _ => return Error::from_pg("make the slot", error),
    };
    Refusal::new(Kind::Slot, format!("make slot {name}: {error}"), hint).into()
}

/// The processes whose open transactions a new slot waits for.
pub async fn blockers(session: &Session) -> Result<Vec<i32>, Error> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY pid";
    Ok(session.query(sql, &[]).await.doing("read the open transactions")?.iter().map(|row| row.get(0)).collect())
}

/// Whether a new slot would wait noticeably: transactions that write have been open for a second.
pub(super) async fn has_long_writers(session: &Session) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND xact_start < now() - interval '1 s')";
    Ok(session.query_one(sql, &[]).await.doing("read the open transactions")?.get(0))
}
