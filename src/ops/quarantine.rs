//! Rows that a sink could not use: looked at, and taken off the list.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::{Command, Plan};
use crate::config::Config;
use crate::refusal::{Kind, Refusal};
use crate::sinks::quarantine;

/// The rows of one sink.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// The sink.
    pub sink: String,
    /// Its rows, in the order they came.
    pub rows: Vec<quarantine::Entry>,
}

/// The rows of all sinks, or of one.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// By sink.
    pub sinks: Vec<Listed>,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut any = false;
        for Listed { sink, rows } in &self.sinks {
            for row in rows {
                any = true;
                let key: Vec<&str> = row.key.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
                writeln!(
                    f,
                    "{} {sink} {} ({}) at {}: {}",
                    row.id,
                    row.table,
                    key.join(", "),
                    row.position,
                    row.reason
                )?;
            }
        }
        if any { Ok(()) } else { f.write_str("nothing is in quarantine") }
    }
}

fn unreadable(e: std::io::Error) -> Refusal {
    Refusal::new(Kind::Disk, format!("the quarantine cannot be read: {e}"), "check the data directory")
}

/// Lists the rows in quarantine; reads beside a running service.
pub fn list(config: &Config, sink: Option<&str>) -> Result<Listing, Refusal> {
    let dir = quarantine::dir(&config.data_dir);
    let names = match sink {
        Some(sink) => vec![sink.to_owned()],
        None => quarantine::sinks(&dir).map_err(unreadable)?,
    };
    let listed = |sink: String| quarantine::list(&dir, &sink).map(|rows| Listed { sink, rows }).map_err(unreadable);
    Ok(Listing { sinks: names.into_iter().map(listed).collect::<Result<_, _>>()? })
}

/// `pgtape quarantine discard`.
pub struct Discard<'a> {
    /// Names the data directory.
    pub config: &'a Config,
    /// The sink.
    pub sink: &'a str,
    /// The rows; empty for all.
    pub ids: &'a [String],
}

impl Discard<'_> {
    /// The rows that are meant, which must all be there.
    fn meant(&self) -> Result<Vec<String>, Refusal> {
        let listing = list(self.config, Some(self.sink))?;
        let there: Vec<String> = listing.sinks.into_iter().flat_map(|l| l.rows).map(|row| row.id).collect();
        let hint = "pgtape quarantine list shows what is there";
        if let Some(gone) = self.ids.iter().find(|id| !there.contains(id)) {
            return Err(Refusal::new(Kind::Usage, format!("{} has no row {gone} in quarantine", self.sink), hint));
        }
        if there.is_empty() {
            return Err(Refusal::new(Kind::Usage, format!("{} has no rows in quarantine", self.sink), hint));
        }
        Ok(if self.ids.is_empty() { there } else { self.ids.to_vec() })
    }
}

impl Command for Discard<'_> {
    async fn plan(&self) -> Result<Plan, Refusal> {
        let ids = self.meant()?;
        Ok(Plan {
            command: "quarantine discard".into(),
            steps: vec![format!("take {} rows off the list of {}", ids.len(), self.sink)],
            consequences: vec![
                format!("{} goes on without these rows until they change; nobody is reminded of them", self.sink),
                "verify goes on comparing: a roll-up that lacks them still differs from its definition".into(),
            ],
            obstacle: None,
            detail: json!({"sink": self.sink, "ids": ids}),
        })
    }

    async fn apply(&self, _plan: &Plan) -> Result<(), Refusal> {
        let dir = quarantine::dir(&self.config.data_dir);
        for id in self.meant()? {
            quarantine::discard(&dir, self.sink, &id).map_err(unreadable)?;
        }
        Ok(())
    }
}
