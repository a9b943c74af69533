//! What the server says of itself, and what pgtape makes of it before it streams.

use crate::model::Lsn;
use crate::pg::{Address, Error as PgError, Purpose, Session, SqlState, Wire, WireOptions};
use crate::refusal::{Kind, Refusal};

use super::error::{Doing, Error};

/// Oldest server: its `pgoutput` has logical messages and its statuses what we read.
pub const VERSION_MIN: u32 = 140_000;

/// A timeline that ended: everything after `end` on it is not part of the server's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// The timeline.
    pub timeline: u32,
    /// Where the next one left it.
    pub end: Lsn,
}

/// A server, as asked on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The cluster's system identifier.
    pub system_id: u64,
    /// Its current timeline.
    pub timeline: u32,
    /// The ancestors of that timeline.
    pub history: Vec<Fork>,
    /// How far its WAL is flushed.
    pub flush: Lsn,
    /// `server_version_num`.
    pub version_number: u32,
    /// `server_version`.
    pub version: String,
    /// The database.
    pub database: String,
    /// Its OID.
    pub database_oid: u32,
    /// `wal_level`.
    pub wal_level: String,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// `synchronous_standby_names`.
    pub synchronous_standby_names: String,
    /// `max_slot_wal_keep_size`; "-1" is unlimited.
    pub max_slot_wal_keep_size: String,
    /// Whether table `pgtape.heartbeat` exists and may be read.
    pub has_heartbeat: bool,
    /// The newest heartbeat the database holds.
    pub heartbeat: Option<Lsn>,
}

/// A walsender session of ours. `application` is what `synchronous_standby_names` would have to name.
pub(super) async fn connect_wire(address: &Address, options: &WireOptions) -> Result<Wire, Error> {
    Wire::connect(address, options).await.map_err(|error| match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Refusal::new(
            Kind::Server,
            format!("the role may not replicate: {error}"),
            format!("as a superuser: ALTER ROLE {} REPLICATION;", crate::pg::identifier(address.user())),
        )
        .into(),
        _ => Error::from_pg("connect for replication", error),
    })
}

/// A walsender session that makes a slot, and the server's version number.
pub async fn open(address: &Address, session: &Session) -> Result<(Wire, u32), Error> {
    let wire = connect_wire(address, &asking()).await?;
    let sql = "SELECT current_setting('server_version_num')::int";
    let version: i32 = session.query_one(sql, &[]).await.doing("ask the server for its version")?.get(0);
    Ok((wire, u32::try_from(version).unwrap_or(0)))
}

/// Options of a walsender session that only asks, or makes slots.
pub(super) fn asking() -> WireOptions {
    WireOptions { purpose: Purpose::Control, replication: true, receive_buffer_bytes: None, settings: Vec::new() }
}

/// Asks the server, on a walsender session and an SQL session.
pub(super) async fn ask(wire: &mut Wire, session: &Session) -> Result<Server, Error> {
    let identity = wire.query("IDENTIFY_SYSTEM").await.doing("identify the server")?;
    let field = |at: usize| identity.first().and_then(|row| row.get(at)).and_then(Clone::clone).unwrap_or_default();
    let broken = || Error::Retry("the server's answer to IDENTIFY_SYSTEM cannot be read".into());
    let timeline: u32 = field(1).parse().map_err(|_| broken())?;
    let history = if timeline > 1 { timeline_history(wire, timeline).await? } else { Vec::new() };
    let row = session.query_one(QUESTIONS, &[]).await.doing("ask the server for its settings")?;
    let has_heartbeat: bool = row.get(8);
    let heartbeat = if has_heartbeat { newest_heartbeat(session).await? } else { None };
    Ok(Server {
        system_id: field(0).parse().map_err(|_| broken())?,
        timeline,
        history,
        flush: field(2).parse().map_err(|_| broken())?,
        version_number: u32::try_from(row.get::<_, i32>(0)).map_err(|_| broken())?,
        version: row.get(1),
        database: row.get(2),
        database_oid: row.get(3),
        wal_level: row.get(4),
        in_recovery: row.get(5),
        synchronous_standby_names: row.get(6),
        max_slot_wal_keep_size: row.get(7),
        has_heartbeat,
        heartbeat,
    })
}

const QUESTIONS: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
     current_database()::text, (SELECT oid FROM pg_database WHERE datname = current_database()), \
     current_setting('wal_level'), pg_is_in_recovery(), current_setting('synchronous_standby_names'), \
     current_setting('max_slot_wal_keep_size'), EXISTS (SELECT FROM pg_class c JOIN pg_namespace n \
     ON n.oid = c.relnamespace WHERE n.nspname = 'pgtape' AND c.relname = 'heartbeat' \
     AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))";

async fn newest_heartbeat(session: &Session) -> Result<Option<Lsn>, Error> {
    let row =
        session.query_one("SELECT max(lsn)::text FROM pgtape.heartbeat", &[]).await.doing("read the heartbeat")?;
    Ok(row.get::<_, Option<String>>(0).and_then(|text| text.parse().ok()))
}

/// Parses the history file of `timeline`: lines of `timeline <tab> lsn <tab> reason`.
async fn timeline_history(wire: &mut Wire, timeline: u32) -> Result<Vec<Fork>, Error> {
    let rows = wire.query(&format!("TIMELINE_HISTORY {timeline}")).await.doing("read the timeline's history")?;
    let text = rows.first().and_then(|row| row.get(1)).and_then(Clone::clone).unwrap_or_default();
    let fork = |line: &str| {
        let mut fields = line.split_whitespace();
        Some(Fork { timeline: fields.next()?.parse().ok()?, end: fields.next()?.parse().ok()? })
    };
    Ok(text.lines().filter_map(fork).collect())
}

impl Server {
    /// Refuses a server that cannot be read, or whose commits would wait for us.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |what: String, hint: &str| Err(Refusal::new(Kind::Server, what, hint));
        if self.version_number < VERSION_MIN {
            return refuse(format!("PostgreSQL {} is too old", self.version), "pgtape reads PostgreSQL 14 to 18");
        }
        if self.in_recovery {
            return refuse("the server is a standby".into(), "give the address of its primary");
        }
        if self.wal_level != "logical" {
            return refuse(
                format!("wal_level is {}", self.wal_level),
                "ALTER SYSTEM SET wal_level = logical; then restart the server",
            );
        }
        if waits_for_us(&self.synchronous_standby_names) {
            return refuse(
                format!(
                    "synchronous_standby_names = '{}' names pgtape: every commit would wait for it",
                    self.synchronous_standby_names
                ),
                "name the synchronous standbys one by one, without * and without pgtape",
            );
        }
        Ok(())
    }

    /// What an operator should know and nothing has to stop for.
    #[must_use]
    pub fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        if self.max_slot_wal_keep_size == "-1" {
            alarms.push(
                "max_slot_wal_keep_size is unlimited: if pgtape stays away, the server keeps WAL until its disk is full"
                    .into(),
            );
        }
        if waits_for_us(&self.synchronous_standby_names) {
            alarms.push("synchronous_standby_names now names pgtape: commits wait for it; take it out".into());
        }
        alarms
    }
}

/// Whether `synchronous_standby_names` matches our walsender: `*`, or our application name in any case.
#[must_use]
pub fn waits_for_us(names: &str) -> bool {
    let list = names.rsplit_once('(').map_or(names, |(_, list)| list);
    list.trim_end().trim_end_matches(')').split(',').any(|name| {
        let name = name.trim();
        let bare = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')).unwrap_or(name);
        bare == "*" || bare.eq_ignore_ascii_case(Purpose::Stream.application_name())
    })
}

/// Whether an error of a running statement says that the table changed under the copy.
pub(super) fn table_changed(error: &PgError) -> bool {
    error.code().is_some_and(|code| {
        [SqlState::UNDEFINED_COLUMN, SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_OBJECT].contains(code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_would_wait_for_us_is_known() {
        let check = |names: &str, want: bool| assert_eq!(waits_for_us(names), want, "{names}");
        check("", false);
        check("*", true);
        check("\"*\"", true);
        check("a, b", false);
        check("FIRST 1 (a, PgTape)", true);
        check("ANY 2 (a, \"b\", *)", true);
        check("2 (pgtape_replica, b)", false);
    }
}
