//! Schema migrations of the five engines, of the shared ledger and of what the service keeps in the database. Run by the
//! owner of the database, they also make what a role that only replicates and reads could not: the publication, replica
//! identities, the heartbeat table and the roles.
//!
//! Invariants: a migration and its record are one transaction; two migrators exclude each other by an advisory lock; what
//! is recorded is never run again; a file that changed after it was applied is refused before anything runs.
//!
//! Does not know the command line, nor what the tables mean.

mod catalog;
mod down;
mod steps;

use std::fmt;

use crate::pg;
use crate::refusal::{Kind, Refusal};

use catalog::{FOUNDATION, MIGRATIONS};
pub use catalog::{Migration, units};
pub use down::Down;
use steps::{Migrator, Recorded};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Apply what is not applied.
    Up,
    /// Take back everything that is applied, newest first. The tables go with their rows.
    Down,
    /// Say what is applied. Changes nothing.
    Status,
}

/// What became of one migration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Applied now.
    Applied,
    /// It was applied before.
    InPlace,
    /// Taken back now.
    Reverted,
    /// It is not applied.
    Pending,
    /// Left out, and why. A later run may apply it.
    Skipped(String),
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// The unit of the migration.
    pub unit: &'static str,
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a run did, in the order in which it was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// One line a migration.
    pub lines: Vec<Line>,
}

impl Report {
    fn push(&mut self, migration: &Migration, outcome: Outcome) {
        self.lines.push(Line { unit: migration.unit, version: migration.version, name: migration.name, outcome });
    }

    /// Whether the run changed the database.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.outcome, Outcome::Applied | Outcome::Reverted))
    }
}

impl fmt::Display for Report {
    /// One line a migration, fit for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let outcome = match &line.outcome {
                Outcome::Applied => "applied",
                Outcome::InPlace => "in place",
                Outcome::Reverted => "reverted",
                Outcome::Pending => "pending",
                Outcome::Skipped(why) => &format!("skipped: {why}"),
            };
            writeln!(f, "{:<10} {:04} {:<12} {outcome}", line.unit, line.version, line.name)?;
        }
        Ok(())
    }
}

/// Why a run ended early. What it had committed by then stays, and a repeat goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// May pass by itself: run it again.
    #[error("{doing}: {source}")]
    Retry {
        /// What was being done.
        doing: String,
        /// What the server or the connection said.
        source: pg::Error,
    },
    /// Only a person can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<Error> for Refusal {
    /// For a caller that does not try again.
    fn from(error: Error) -> Self {
        match error {
            Error::Retry { doing, source } => source.into_refusal(&doing),
            Error::Refused(refusal) => refusal,
        }
    }
}

/// Migrates the database at `address`, or says how it stands. `only` names one unit; `up` adds the units it needs.
pub async fn run(address: &pg::Address, action: Action, only: Option<&str>) -> Result<Report, Error> {
    let selected = select(action, only)?;
    let mut migrator = Migrator::connect(address).await?;
    match action {
        Action::Status => status(&migrator.recorded().await?, &selected),
        Action::Up => {
            migrator.lock().await?;
            let report = up(&mut migrator, &selected).await;
            migrator.unlock().await;
            report
        }
        Action::Down => {
            migrator.lock().await?;
            let report = down(&mut migrator, &selected, only).await;
            migrator.unlock().await;
            report
        }
    }
}

/// The migrations meant, in order.
fn select(action: Action, only: Option<&str>) -> Result<Vec<&'static Migration>, Refusal> {
    let Some(only) = only else { return Ok(MIGRATIONS.iter().collect()) };
    if !units().any(|unit| unit == only) {
        let known: Vec<&str> = units().collect();
        return Err(Refusal::new(
            Kind::Usage,
            format!("there are no migrations named '{only}'"),
            format!("--only takes one of {}", known.join(", ")),
        ));
    }
    let with_needed = action == Action::Up;
    let meant = |m: &&Migration| m.unit == only || with_needed && FOUNDATION.contains(&m.unit);
    Ok(MIGRATIONS.iter().filter(meant).collect())
}

fn status(recorded: &Recorded, selected: &[&Migration]) -> Result<Report, Error> {
    let mut report = Report::default();
    for migration in selected {
        let outcome = if recorded.contains(migration) { Outcome::InPlace } else { Outcome::Pending };
        report.push(migration, outcome);
    }
    recorded.check(selected)?;
    Ok(report)
}

async fn up(migrator: &mut Migrator, selected: &[&Migration]) -> Result<Report, Error> {
    migrator.bootstrap().await?;
    let recorded = migrator.recorded().await?;
    recorded.check(selected)?;
    let mut report = Report::default();
    for migration in selected {
        let outcome = if recorded.contains(migration) { Outcome::InPlace } else { migrator.apply(migration).await? };
        report.push(migration, outcome);
    }
    Ok(report)
}

async fn down(migrator: &mut Migrator, selected: &[&Migration], only: Option<&str>) -> Result<Report, Error> {
    let recorded = migrator.recorded().await?;
    recorded.check(selected)?;
    refuse_if_foundation(&recorded, only)?;
    let mut report = Report::default();
    for migration in selected.iter().rev() {
        if recorded.contains(migration) {
            migrator.revert(migration).await?;
            report.push(migration, Outcome::Reverted);
        } else {
            report.push(migration, Outcome::Pending);
        }
    }
    migrator.tidy().await?;
    Ok(report)
}

/// A foundation cannot go while a unit stands on it: units after it in the list may.
fn refuse_if_foundation(recorded: &Recorded, only: Option<&str>) -> Result<(), Refusal> {
    let Some(foundation) = only.filter(|unit| FOUNDATION.contains(unit)) else { return Ok(()) };
    let above: Vec<&str> =
        units().skip_while(|unit| *unit != foundation).skip(1).filter(|unit| recorded.holds_unit(unit)).collect();
    if above.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        Kind::Usage,
        format!("'{foundation}' is needed by {}", above.join(", ")),
        "take those down first, or everything without --only",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_a_unit_and_up_brings_what_it_needs() {
        let check = |action, only, want: &[&str]| {
            let mut got: Vec<&str> = select(action, Some(only)).unwrap().iter().map(|m| m.unit).collect();
            got.dedup();
            assert_eq!(got, want);
        };
        check(Action::Up, "aether", &["pgtape", "ledger", "aether"]);
        check(Action::Down, "aether", &["aether"]);
        check(Action::Status, "ledger", &["ledger"]);
        let refusal = select(Action::Up, Some("ether")).unwrap_err();
        assert_eq!(refusal.kind, Kind::Usage);
        assert!(refusal.hint.contains("aether"), "{refusal}");
    }
}
