//! The slot, to look at, to drop, to begin anew.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::{Command, Plan};
use crate::config::Config;
use crate::model::Lsn;
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};
use crate::source::{self, slot};
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
    pub confirmed: Option<Lsn>,
    /// Where decoding would start.
    pub restart: Option<Lsn>,
    /// reserved, extended, unreserved or lost.
    pub wal_status: Option<String>,
    /// WAL that the server keeps because of it, in bytes.
    pub retained_bytes: Option<u64>,
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
        writeln!(f, "confirmed  {}", self.confirmed.unwrap_or_default())?;
        writeln!(f, "restart    {}", self.restart.unwrap_or_default())?;
        writeln!(f, "wal_status {}", text(&self.wal_status))?;
        write!(f, "retained   {} bytes", self.retained_bytes.unwrap_or_default())
    }
}

/// Asks the server for the facts of the configured slot.
pub async fn show(config: &Config) -> Result<SlotFacts, Refusal> {
    let session =
        pg::connect(config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal("look at the slot"))?;
    facts(&session, &config.source.slot).await
}

/// The facts of slot `name`.
pub(super) async fn facts(session: &Session, name: &str) -> Result<SlotFacts, Refusal> {
    let slot = slot::show(session, name).await.map_err(source::Error::into_refusal)?;
    let of = |f: fn(slot::Slot) -> Option<String>| slot.clone().and_then(f);
    Ok(SlotFacts {
        slot: name.to_owned(),
        exists: slot.is_some(),
        database: of(|s| s.database),
        active: slot.as_ref().map(|s| s.active.is_some()),
        active_pid: slot.as_ref().and_then(|s| s.active.as_ref().map(|(pid, _)| *pid)),
        confirmed: slot.as_ref().map(|s| s.confirmed),
        restart: slot.as_ref().map(|s| s.restart),
        wal_status: of(|s| Some(s.wal_status)),
        retained_bytes: slot.as_ref().map(|s| s.retained_bytes),
    })
}

/// `pgtape slot drop`.
pub struct Drop<'a> {
    /// Names the server and the slot.
    pub config: &'a Config,
}

impl Command for Drop<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let facts = show(self.config).await?;
        if !facts.exists {
            let what = format!("slot {} does not exist", facts.slot);
            return Err(Refusal::new(Kind::Slot, what, "there is nothing to drop; source.slot names another one"));
        }
        let confirmed = facts.confirmed.unwrap_or_default();
        Ok(Plan {
            command: "slot drop".into(),
            steps: vec![format!("drop slot {} on {}", facts.slot, self.config.address()?)],
            consequences: vec![
                format!("changes committed after {confirmed} will never reach the tape"),
                "the next run refuses to start until `pgtape slot reset`, which takes a new copy of every table".into(),
            ],
            obstacle: in_use(&facts),
            detail: json!({"slot": facts}),
        })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        drop_slot(self.config).await
    }
}

/// Somebody reads the slot.
pub(super) fn in_use(facts: &SlotFacts) -> Option<Refusal> {
    let pid = facts.active_pid?;
    let what = format!("slot {} is in use by the server process {pid}", facts.slot);
    Some(Refusal::new(Kind::Slot, what, "stop the pgtape that reads it first"))
}

/// Drops the configured slot.
pub(super) async fn drop_slot(config: &Config) -> Result<(), Refusal> {
    slot::drop(config.address()?, &config.source.slot).await.map(|_existed| ()).map_err(source::Error::into_refusal)
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
        Ok(Plan { command: "slot reset".into(), steps, consequences, obstacle: in_use(&facts), detail })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        let Some(tape) = self.tape()? else { return drop_slot(self.config).await };
        let address = self.config.address()?;
        let (mut writer, recovered) = open_tape(self.config, &tape).map_err(tape::Error::into_refusal)?;
        let reset = source::reset(address, &self.config.source.slot, &mut writer, &recovered).await;
        reset.map(|_existed| ()).map_err(source::Error::into_refusal)
    }
}

/// Opens the tape to write. Refuses while another process does.
fn open_tape(config: &Config, info: &tape::Info) -> Result<(tape::Writer, tape::Recovered), tape::Error> {
    let options = tape::Options { reserve_bytes: config.tape.reserve_bytes, ..tape::Options::default() };
    tape::Writer::open(&config.tape.dir, options, info.origin.clone(), &tape::Proof::NONE)
}
