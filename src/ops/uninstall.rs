//! `pgtape uninstall`: slot, publication, schema `pgtape` and the data directory go; user tables stay as they are.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::json;

use super::{ADDRESS_FILE, Command, LOG_FILE, Plan, slot};
use crate::config::Config;
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};
use crate::tape;

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
    role: String,
    /// What our role may not drop, and whose it is.
    foreign: Vec<(String, String)>,
}

/// Owners of publication and schema; NULL where there is none. Whether our role has their rights.
const OWNERS: &str = "SELECT current_user::text, p.owner::regrole::text, coalesce(pg_has_role(p.owner, 'USAGE'), true), \
     s.owner::regrole::text, coalesce(pg_has_role(s.owner, 'USAGE'), true) \
     FROM (SELECT (SELECT pubowner FROM pg_publication WHERE pubname = $1) AS owner) p, \
     (SELECT (SELECT nspowner FROM pg_namespace WHERE nspname = 'pgtape') AS owner) s";

impl Uninstall<'_> {
    async fn session(&self) -> Result<Session, Refusal> {
        pg::connect(self.config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal("uninstall"))
    }

    async fn find(&self, session: &Session) -> Result<Found, Refusal> {
        let name = &self.config.source.publication;
        let row = session.query_one(OWNERS, &[name]).await;
        let row = row.map_err(|e| pg::Error::from(e).into_refusal("uninstall"))?;
        let (publication, schema): (Option<String>, Option<String>) = (row.get(1), row.get(3));
        let owned = [
            (format!("publication {name}"), publication.clone(), row.get::<_, bool>(2)),
            ("schema pgtape".to_owned(), schema.clone(), row.get::<_, bool>(4)),
        ];
        let foreign = owned.into_iter().filter(|(_, _, may)| !may);
        Ok(Found {
            slot: slot::facts(session, &self.config.source.slot).await?,
            publication: publication.is_some(),
            schema: schema.is_some(),
            data_dir: self.config.data_dir.exists(),
            role: row.get(0),
            foreign: foreign.filter_map(|(what, owner, _)| owner.map(|owner| (what, owner))).collect(),
        })
    }
}

impl Found {
    /// Why it cannot be done now, found before anything is dropped.
    fn obstacle(&self, config: &Config) -> Option<Refusal> {
        let not_ours = || {
            let all: Vec<&str> = self.foreign.iter().map(|(what, _)| what.as_str()).collect();
            let mut owners: Vec<&str> = self.foreign.iter().map(|(_, owner)| owner.as_str()).collect();
            owners.dedup();
            let may_not = format!("the role {} does not own {}", self.role, all.join(" nor "));
            let hint = format!("run it as {}, or as a superuser", owners.join(" and "));
            (!all.is_empty()).then(|| Refusal::new(Kind::Server, may_not, hint))
        };
        let locked = || tape::refuse_if_locked(&config.tape.dir).err().map(tape::Error::into_refusal);
        slot::in_use(&self.slot).or_else(locked).or_else(not_ours).or_else(|| refuse_data(config).err())
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
            consequences.push(format!("the tape, checkpoints, quarantine and {LOG_FILE} in {data_dir}"));
        }
        if !self.config.kafka.is_empty() {
            let keep = "topics and progress records in Kafka stay: delete them there (docs/OPERATIONS.md)";
            consequences.push(keep.into());
        }
        if steps.is_empty() {
            steps.push("find nothing to remove".into());
        }
        let obstacle = found.obstacle(self.config);
        let detail = json!({"slot": found.slot, "publication": found.publication, "schema": found.schema});
        Ok(Plan { command: "uninstall".into(), steps, consequences, obstacle, detail })
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
const ENTRIES: [&str; 7] = ["standby", "quarantine", "kafka", "sim", "heartbeat", ADDRESS_FILE, LOG_FILE];

/// Refuses a data directory that may be somebody else's: one without a tape, and with something that is not pgtape's.
fn refuse_data(config: &Config) -> Result<(), Refusal> {
    if config.tape.dir.join("lock").exists() {
        return Ok(());
    }
    let Ok(found) = std::fs::read_dir(&config.data_dir) else { return Ok(()) };
    let strange = found.flatten().find(|entry| !ENTRIES.iter().any(|ours| entry.file_name() == *ours));
    match strange {
        None => Ok(()),
        Some(entry) => {
            let entry = entry.file_name();
            let why = format!("it holds no tape but {}, so it may be somebody else's", entry.display());
            Err(not_removed(&config.data_dir, &why))
        }
    }
}

fn not_removed(path: &Path, why: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(Kind::Disk, format!("{} cannot be removed: {why}", path.display()), "remove it by hand")
}

/// Removes what pgtape has made in the data directory, and the directory if nothing else is in it.
fn remove_data(config: &Config) -> Result<(), Refusal> {
    refuse_data(config)?;
    let data_dir = &config.data_dir;
    let entries = ENTRIES.iter().map(|name| data_dir.join(name));
    let tape = Some(&config.tape.dir).filter(|dir| dir.join("lock").exists()).cloned();
    for path in entries.chain(tape) {
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(not_removed(&path, &error)),
        }
    }
    match std::fs::remove_dir(data_dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            tracing::warn!(dir = %data_dir.display(), "files that are not pgtape's were left");
            Ok(())
        }
        Err(error) => Err(not_removed(data_dir, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Overrides};

    #[test]
    fn only_a_directory_of_pgtape_is_removed() {
        let check = |files: &[&str], removed: bool| {
            let parent = tempfile::tempdir().unwrap();
            let data_dir = parent.path().join("data");
            for file in files {
                let path = data_dir.join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "").unwrap();
            }
            let flags = Overrides { data_dir: Some(data_dir.clone()), ..Overrides::default() };
            let config = Config::load(&flags, &Environment::default()).unwrap();
            assert_eq!(refuse_data(&config).is_ok(), removed, "{files:?}");
            assert_eq!(remove_data(&config).is_ok(), removed, "{files:?}");
            assert_eq!(data_dir.exists(), !removed, "{files:?}");
        };
        check(&["sim/perplex.record", "operator.log"], true);
        check(&["tape/lock", "operator.log"], true);
        check(&["sim/perplex.record", "thesis.tex"], false);
        check(&["tape/mixtape.flac"], false);
    }
}
