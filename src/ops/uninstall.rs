//! `pgtape uninstall`: slot, publication, schema `pgtape` and the data directory go; user tables stay as they are.

use serde_json::json;

use super::{Command, Plan, slot};
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
        if let Some(pid) = found.slot.active_pid {
            let what = format!("slot {} is in use by the server process {pid}", found.slot.slot);
            return Err(Refusal::new(Kind::Slot, what, "stop the pgtape that reads it first"));
        }
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
        Ok(Plan { command: "uninstall".into(), steps, consequences, detail })
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

/// Removes the data directory, if it is one of ours.
fn remove_data(config: &Config) -> Result<(), Refusal> {
    let failed = |what: String| Refusal::new(Kind::Disk, what, "remove it by hand");
    if !config.tape.dir.exists() {
        return Err(failed(format!("{} holds no tape: it is not removed", config.data_dir.display())));
    }
    for dir in [&config.tape.dir, &config.data_dir] {
        match std::fs::remove_dir_all(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(format!("{} cannot be removed: {error}", dir.display()))),
        }
    }
    Ok(())
}
