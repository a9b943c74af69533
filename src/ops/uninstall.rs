//! `pgtape uninstall`: slot, publication, schema `pgtape` and the data directory go; user tables stay as they are.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::json;

use super::{ADDRESS_FILE, Command, LOG_FILE, Plan, slot};
use crate::config::Config;
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};

/// The command.
pub struct Uninstall<'a> {
    /// Names the server, the slot, the publication and the data directory.
    pub config: &'a Config,
}

/// What there is to remove.
struct Found {
    slot: slot::SlotFacts,
    publication: bool,
    schema: bool,
    data_dir: bool,
}

impl Uninstall<'_> {
    async fn session(&self) -> Result<Session, Refusal> {
        pg::connect(self.config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal("uninstall"))
    }

    async fn find(&self, session: &Session) -> Result<Found, Refusal> {
        let sql =
            "SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1), to_regnamespace('pgtape') IS NOT NULL";
        let row = session.query_one(sql, &[&self.config.source.publication]).await;
        let row = row.map_err(|e| pg::Error::from(e).into_refusal("uninstall"))?;
        Ok(Found {
            slot: slot::facts(session, &self.config.source.slot).await?,
            publication: row.get(0),
            schema: row.get(1),
            data_dir: self.config.data_dir.exists(),
        })
    }
}

impl Command for Uninstall<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let session = self.session().await?;
        let found = self.find(&session).await?;
        let (source, data_dir) = (&self.config.source, self.config.data_dir.display());
        let mut steps = Vec::new();
        let mut consequences = Vec::new();
        if found.slot.exists {
            steps.push(format!("drop slot {}", source.slot));
        }
        if found.publication {
            steps.push(format!("drop publication {}", source.publication));
        }
        if found.schema {
            steps.push("drop schema pgtape with its tables".into());
            consequences.push("positions of the roll-ups and the operator log in Postgres".into());
        }
        if found.data_dir {
            steps.push(format!("remove {data_dir}"));
            consequences.push(format!("the tape, checkpoints and quarantine in {data_dir}"));
        }
        if steps.is_empty() {
            steps.push("find nothing to remove".into());
        }
        let detail = json!({"slot": found.slot, "publication": found.publication, "schema": found.schema});
        Ok(Plan { command: "uninstall".into(), steps, consequences, obstacle: slot::in_use(&found.slot), detail })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        let session = self.session().await?;
        let refused = |e: pg::Error| e.into_refusal("uninstall");
        let found = self.find(&session).await?;
        if found.slot.exists {
            slot::drop_slot(self.config).await?;
        }
        if found.publication {
            let name = pg::identifier(&self.config.source.publication);
            session
                .batch_execute(&format!("DROP PUBLICATION IF EXISTS {name}"))
                .await
                .map_err(|e| refused(e.into()))?;
        }
        if found.schema {
            session.batch_execute("DROP SCHEMA IF EXISTS pgtape CASCADE").await.map_err(|e| refused(e.into()))?;
        }
        if found.data_dir {
            remove_data(self.config)?;
        }
        Ok(())
    }
}

/// What pgtape makes in a data directory, beside the tape.
const ENTRIES: [&str; 6] = ["standby", "quarantine", "sim", "heartbeat", ADDRESS_FILE, LOG_FILE];

/// Removes what pgtape has made in the data directory, and the directory if nothing else is in it.
fn remove_data(config: &Config) -> Result<(), Refusal> {
    let failed = |path: &Path, why: &dyn std::fmt::Display| {
        Refusal::new(Kind::Disk, format!("{} cannot be removed: {why}", path.display()), "remove it by hand")
    };
    let data_dir = &config.data_dir;
    if !config.tape.dir.join("lock").exists() {
        return Err(failed(data_dir, &"it holds no tape, so it may be somebody else's"));
    }
    let entries = ENTRIES.iter().map(|name| data_dir.join(name));
    for path in entries.chain([config.tape.dir.clone()]) {
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    match std::fs::remove_dir(data_dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            tracing::warn!(dir = %data_dir.display(), "files that are not pgtape's were left");
            Ok(())
        }
        Err(error) => Err(failed(data_dir, &error)),
    }
}
