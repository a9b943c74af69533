//! `pgtape migrate down` as an operator's command: what goes, with how many rows, before anything does.

use std::sync::OnceLock;

use serde_json::json;

use super::catalog::{Migration, units};
use super::steps::{Held, Migrator};
use super::{Action, Error, Report, refuse_if_foundation, run, select};
use crate::ops::{Command, Plan};
use crate::pg::Address;
use crate::refusal::{Kind, Refusal};

/// The command.
pub struct Down<'a> {
    /// The database.
    pub address: &'a Address,
    /// One unit; `None` for everything.
    pub only: Option<&'a str>,
    /// What was done, once it was.
    pub report: OnceLock<Report>,
}

impl Command for Down<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let selected = select(Action::Down, self.only)?;
        let migrator = Migrator::connect(self.address).await?;
        let recorded = migrator.recorded().await?;
        recorded.check(&selected)?;
        refuse_if_foundation(&recorded, self.only)?;
        let applied: Vec<&Migration> = selected.into_iter().filter(|migration| recorded.contains(migration)).collect();
        let going: Vec<&str> = units().filter(|unit| applied.iter().any(|m| m.unit == *unit)).collect();
        let held = migrator.held(&going).await?;
        let step = |unit: &&str| {
            let count = applied.iter().filter(|m| m.unit == *unit).count();
            format!("take back {count} migrations of {unit}")
        };
        let mut steps: Vec<String> = going.iter().rev().map(step).collect();
        if steps.is_empty() {
            steps.push("find nothing to take back".into());
        }
        let loss = |held: &Held| {
            let Held { schema, tables, rows_about, bytes } = held;
            format!("schema {schema}: {tables} tables with about {rows_about} rows, {} KiB", bytes / 1024)
        };
        let mut consequences: Vec<String> = held.iter().map(loss).collect();
        if going.contains(&"pgtape") {
            consequences.push("with schema pgtape: the roll-ups' positions, the heartbeat and the operator log".into());
            consequences.push("the publication pgtape, unless tables that pgtape did not make are in it".into());
        }
        if !going.is_empty() {
            consequences.push("roles stay, without rights here: other databases of the server may use them".into());
        }
        let obstacle =
            if going.contains(&"pgtape") { migrator.streamed().await?.map(|slot| streamed(&slot)) } else { None };
        let detail = json!({"only": self.only, "units": going});
        Ok(Plan { command: "migrate down".into(), steps, consequences, obstacle, detail })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        let report = run(self.address, Action::Down, self.only).await.map_err(|error: Error| Refusal::from(error))?;
        self.report.set(report).map_err(|_| Refusal::new(Kind::Locked, "migrate down was done already", ""))
    }
}

/// Publication, heartbeat and positions do not go from under a service.
fn streamed(slot: &str) -> Refusal {
    Refusal::new(Kind::Slot, format!("pgtape streams from this database through slot {slot}"), "stop it first")
}
