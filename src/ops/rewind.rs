//! Taking a roll-up back to an earlier position, and making it anew.

use std::sync::Arc;

use serde_json::json;

use super::{Command, Plan, sink, slot, when};
use crate::config::Config;
use crate::model::Lsn;
use crate::pg::{self, Purpose};
use crate::refusal::{Kind, Refusal};
use crate::sinks::rollup::{Replaced, Rewind as Recompute, RollUp, by_hand};
use crate::sinks::{Error, checkpoints, cursor};
use crate::tape::{self, Watermark};

/// The roll-up called `name`, if it is kept under this configuration.
fn rollup(config: &Config, name: &str) -> Result<Arc<dyn RollUp>, Refusal> {
    let Some(rollup) = by_hand::rollup(name) else {
        let what = format!("'{name}' is not a roll-up");
        let hint = format!("there are {}; the standby is replaced by `pgtape slot reset`", by_hand::NAMES.join(", "));
        return Err(Refusal::new(Kind::Usage, what, hint));
    };
    let kept = sink::kept(config);
    if kept.iter().any(|kept| *kept == name) {
        return Ok(rollup);
    }
    let what = format!("{name} is not configured: rollups.names, and the tables it reads, decide what is kept");
    let hint = match kept.is_empty() {
        true => "no roll-up is; give the same --config or --tables as to `pgtape run`".to_owned(),
        false => format!("there are {}", kept.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")),
    };
    Err(Refusal::new(Kind::Usage, what, hint))
}

/// Where it stands, durably.
async fn stored(config: &Config, name: &str) -> Result<Option<cursor::Stored>, Refusal> {
    let doing = "look at the position of the roll-up";
    let session = pg::connect(config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal(doing))?;
    cursor::read(&*session, name).await.map_err(|e| e.into_refusal(doing))
}

fn facts(stored: Option<&cursor::Stored>) -> serde_json::Value {
    json!(stored.map(|s| json!({"lsn": s.lsn, "epoch": s.epoch, "generation": s.generation})))
}

/// `pgtape sink rewind`.
pub struct Rewind<'a> {
    /// Names server, tape and checkpoints.
    pub config: &'a Config,
    /// The roll-up.
    pub name: &'a str,
    /// A position or a time, as typed.
    pub to: &'a str,
}

impl Rewind<'_> {
    /// Finds checkpoint and tape; changes nothing, and keeps the checkpoint until it is dropped.
    fn prepare(&self) -> Result<(Recompute, Lsn), Refusal> {
        let rollup = rollup(self.config, self.name)?;
        let dir = &self.config.tape.dir;
        let to = when::position(dir, self.to)?.lsn;
        let info = tape::info(dir).map_err(tape::Error::into_refusal)?;
        let watermark = Watermark::scan(dir).map_err(tape::Error::into_refusal)?;
        let checkpoints = checkpoints::dir(&self.config.data_dir);
        let identity = (&info.origin).into();
        Recompute::plan(rollup, dir.clone(), checkpoints, watermark, identity, to)
            .map(|recompute| (recompute, to))
            .map_err(Error::into_refusal)
    }
}

impl Command for Rewind<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let (recompute, to) = self.prepare()?;
        let before = stored(self.config, self.name).await?;
        let name = self.name;
        let mut consequences = Vec::new();
        match &before {
            Some(at) if to > at.lsn => {
                let what = format!("{name} is at {}, and {to} is after it", at.lsn);
                return Err(Refusal::new(Kind::Usage, what, "it goes there by itself; name an earlier position"));
            }
            Some(at) => {
                consequences
                    .push(format!("commits after {to}, up to {}, are applied to {name} again, each once", at.lsn));
                consequences.push(format!("until then {name} shows what was at {to}"));
            }
            None => {}
        }
        Ok(Plan {
            command: "sink rewind".into(),
            steps: vec![
                format!("compute what {name} held at {to}, from the checkpoint at {} and the tape", recompute.base()),
                format!("replace {name} by it, set its position to {to} and raise its generation, in one transaction"),
                "leave the replay to the service".into(),
            ],
            consequences,
            obstacle: None,
            detail: json!({"sink": name, "before": facts(before.as_ref()), "to": to}),
        })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        let (recompute, _) = self.prepare()?;
        let computing = tokio::task::spawn_blocking(move || recompute.content().map(|content| (recompute, content)));
        let computed = computing.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        let (recompute, (content, point)) = computed.map_err(Error::into_refusal)?;
        let replaced = recompute.commit(self.config.address()?, &content, point).await;
        replaced.map(|_| ()).map_err(|e| e.into_refusal("replace the roll-up"))
    }
}

/// `pgtape sink rebuild`.
pub struct Rebuild<'a, F> {
    /// Names the server.
    pub config: &'a Config,
    /// The roll-up.
    pub name: &'a str,
    /// Does it: brings tape and sinks up to date, and replaces the target under an exported snapshot.
    pub rebuild: F,
}

impl<F: AsyncFn(Arc<dyn RollUp>) -> Result<Replaced, Refusal>> Command for Rebuild<'_, F> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let name = rollup(self.config, self.name)?.name().to_owned();
        let before = stored(self.config, &name).await?;
        let in_use = match tape::refuse_if_locked(&self.config.tape.dir) {
            Err(locked) => Some(locked.into_refusal()),
            Ok(()) => slot::in_use(&slot::show(self.config).await?),
        };
        Ok(Plan {
            command: "sink rebuild".into(),
            steps: vec![
                "bring tape and sinks up to date with the server".into(),
                format!("run the SELECT of {name} (sql/rollups) at one exact position"),
                format!("replace {name} by its result, set its position and raise its generation, in one transaction"),
            ],
            consequences: vec![format!("what was written to {name} by anybody else is gone")],
            obstacle: in_use,
            detail: json!({"sink": name, "before": facts(before.as_ref())}),
        })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        (self.rebuild)(rollup(self.config, self.name)?).await.map(|_| ())
    }
}
