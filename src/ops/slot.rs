//! The slot, to look at, to drop, to begin anew.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::{Command, Plan};
use crate::config::Config;
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};
use crate::tape;

/// What the server knows of the slot.
#[derive(Debug, Clone, Serialize)]
pub struct SlotFacts {
    /// Its name.
    pub slot: String,
    /// False when there is none; then all the rest is null.
    pub exists: bool,
    /// Its database.
    pub database: Option<String>,
    /// Whether somebody reads it.
    pub active: Option<bool>,
    /// The process that does.
    pub active_pid: Option<i32>,
    /// What pgtape has confirmed as durable on the tape.
    pub confirmed: Option<String>,
    /// Where decoding would start.
    pub restart: Option<String>,
    /// reserved, extended, unreserved or lost.
    pub wal_status: Option<String>,
    /// WAL that the server keeps because of it, in bytes.
    pub retained_bytes: Option<i64>,
}

impl fmt::Display for SlotFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.exists {
            return write!(f, "slot {} does not exist", self.slot);
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        writeln!(f, "slot       {}", self.slot)?;
        writeln!(f, "database   {}", text(&self.database))?;
        let pid = self.active_pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
        writeln!(f, "active     {}{pid}", self.active.unwrap_or_default())?;
        writeln!(f, "confirmed  {}", text(&self.confirmed))?;
        writeln!(f, "restart    {}", text(&self.restart))?;
        writeln!(f, "wal_status {}", text(&self.wal_status))?;
        write!(f, "retained   {} bytes", self.retained_bytes.unwrap_or_default())
    }
}

const SLOT_SQL: &str = "SELECT database::text, active, active_pid, confirmed_flush_lsn::text, restart_lsn::text, \
     wal_status::text, CASE WHEN pg_is_in_recovery() THEN NULL \
         ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8 END \
     FROM pg_replication_slots WHERE slot_name = $1";

/// Asks the server for the facts of the configured slot.
pub async fn show(config: &Config) -> Result<SlotFacts, Refusal> {
    let session =
        pg::connect(config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal("look at the slot"))?;
    facts(&session, &config.source.slot).await.map_err(|e| e.into_refusal("look at the slot"))
}

/// The facts of slot `slot`.
pub(super) async fn facts(session: &Session, slot: &str) -> Result<SlotFacts, pg::Error> {
    let row = session.query_opt(SLOT_SQL, &[&slot]).await?;
    let slot = slot.to_owned();
    Ok(match row {
        None => SlotFacts {
            slot,
            exists: false,
            database: None,
            active: None,
            active_pid: None,
            confirmed: None,
            restart: None,
            wal_status: None,
            retained_bytes: None,
        },
        Some(row) => SlotFacts {
            slot,
            exists: true,
            database: row.get(0),
            active: row.get(1),
            active_pid: row.get(2),
            confirmed: row.get(3),
            restart: row.get(4),
            wal_status: row.get(5),
            retained_bytes: row.get(6),
        },
    })
}

/// `pgtape slot drop`.
pub struct Drop<'a> {
    /// Names the server and the slot.
    pub config: &'a Config,
}

impl Command for Drop<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let facts = idle(show(self.config).await?)?;
        let confirmed = facts.confirmed.as_deref().unwrap_or("0/0");
        Ok(Plan {
            command: "slot drop".into(),
            steps: vec![format!("drop slot {} on {}", facts.slot, self.config.address()?)],
            consequences: vec![
                format!("changes committed after {confirmed} will never reach the tape"),
                "the next run refuses to start until `pgtape slot reset`, which takes a new copy of every table".into(),
            ],
            detail: json!({"slot": facts}),
        })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        drop_slot(self.config).await
    }
}

/// A slot that exists and that nobody reads.
fn idle(facts: SlotFacts) -> Result<SlotFacts, Refusal> {
    if !facts.exists {
        let what = format!("slot {} does not exist", facts.slot);
        return Err(Refusal::new(Kind::Slot, what, "there is nothing to drop; source.slot names another one"));
    }
    match facts.active_pid {
        None => Ok(facts),
        Some(pid) => {
            let what = format!("slot {} is in use by the server process {pid}", facts.slot);
            Err(Refusal::new(Kind::Slot, what, "stop the pgtape that reads it first"))
        }
    }
}

/// Drops the configured slot.
pub(super) async fn drop_slot(config: &Config) -> Result<(), Refusal> {
    let doing = "drop the slot";
    let session = pg::connect(config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal(doing))?;
    match session.execute("SELECT pg_drop_replication_slot($1)", &[&config.source.slot]).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let error = pg::Error::from(error);
            let hint = "stop the pgtape that reads it first";
            if error.is(&pg::SqlState::OBJECT_IN_USE) {
                return Err(Refusal::new(Kind::Slot, format!("{doing}: {error}"), hint));
            }
            Err(error.into_refusal(doing))
        }
    }
}

/// `pgtape slot reset`: the next start takes everything anew, under a new epoch.
///
/// It notes on the tape that a copy is due, which is how a copy that was cut short looks: the next start drops the slot
/// and begins the copy again.
pub struct Reset<'a> {
    /// Names the server, the slot and the tape.
    pub config: &'a Config,
}

impl Reset<'_> {
    /// What the tape holds; `None` where there is no tape yet.
    fn tape(&self) -> Result<Option<tape::Info>, Refusal> {
        if !self.config.tape.dir.exists() {
            return Ok(None);
        }
        tape::info(&self.config.tape.dir).map(Some).map_err(tape::Error::into_refusal)
    }
}

impl Command for Reset<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let facts = show(self.config).await?;
        let facts = if facts.exists { idle(facts)? } else { facts };
        let mut steps = Vec::new();
        let mut consequences = Vec::new();
        let mut detail = json!({"slot": facts});
        if let Some(tape) = self.tape()? {
            let epoch = tape.epoch + 1;
            steps.push(format!("note on the tape that epoch {epoch} begins with a new copy of every table"));
            consequences.push(format!(
                "what was committed after {} and before the new copy is on the tape only by its result, not change by change",
                tape.newest
            ));
            consequences.push("the standby, and every roll-up, is replaced by what the copy brings".into());
            detail["tape"] = json!({"epoch": tape.epoch, "end": tape.newest});
        }
        if facts.exists {
            steps.push(format!("drop slot {} on {}", facts.slot, self.config.address()?));
        }
        steps.push("leave the rest to the next `pgtape run`".into());
        Ok(Plan { command: "slot reset".into(), steps, consequences, detail })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        if let Some(tape) = self.tape()? {
            note_copy(self.config, &tape)?;
        }
        if show(self.config).await?.exists {
            drop_slot(self.config).await?;
        }
        Ok(())
    }
}

/// Notes on the tape, durably, that a copy is due. Refuses while another process writes the tape.
fn note_copy(config: &Config, info: &tape::Info) -> Result<(), Refusal> {
    let note = || {
        let options = tape::Options { reserve_bytes: config.tape.reserve_bytes, ..tape::Options::default() };
        let (mut writer, recovered) =
            tape::Writer::open(&config.tape.dir, options, info.origin.clone(), &tape::Proof::NONE)?;
        let slot = config.source.slot.clone();
        writer.intent(tape::Intent { slot, epoch: recovered.epoch + 1, tables: Vec::new() })?;
        writer.sync().map(|_durable| ())
    };
    note().map_err(tape::Error::into_refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Overrides};
    use crate::tape::{Options, Origin, Proof, Writer};

    #[test]
    fn the_next_start_sees_that_a_copy_is_due() {
        let dir = tempfile::tempdir().unwrap();
        let flags = Overrides { data_dir: Some(dir.path().to_owned()), ..Overrides::default() };
        let config = Config::load(&flags, &Environment::default()).unwrap();
        let origin = Origin { system_id: 1, timeline: 1, database_oid: 1, fingerprint: 1, slot: "pgtape".into() };
        let open = || Writer::open(&config.tape.dir, Options::default(), origin.clone(), &Proof::NONE);
        let (mut writer, _) = open().unwrap();
        writer.sync().unwrap();
        let locked = note_copy(&config, &tape::info(&config.tape.dir).unwrap()).unwrap_err();
        assert_eq!(locked.kind, Kind::Locked, "{locked}");
        drop(writer);
        note_copy(&config, &tape::info(&config.tape.dir).unwrap()).unwrap();
        let (_writer, recovered) = open().unwrap();
        assert_eq!(recovered.copy_pending.map(|intent| (intent.slot, intent.epoch)), Some(("pgtape".into(), 1)));
    }
}
