//! Examines server, tables and data directory, and says for each finding what mends it.
//!
//! Invariant: changes nothing. A check asks one question; what it decides from the answer is a pure function beside it.

mod data;
mod publication;
mod server;
mod tables;

use std::fmt;

use serde::Serialize;

use crate::config::Config;
use crate::pg::{self, Purpose, Session};
use crate::refusal::Refusal;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As pgtape needs it.
    Ok,
    /// Works, and a careful operator would change it. Not counted as a finding.
    Advice,
    /// Does not work, or endangers the server or the data.
    Finding,
}

/// One check and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The name of the check, as docs/OPERATIONS.md lists it.
    pub check: &'static str,
    /// How it came out.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// The SQL that mends it, or a command of the shell.
    pub fix: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, message: message.into(), fix: None }
    }

    /// A careful operator would run `fix`.
    pub fn advice(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Advice, message: message.into(), fix: Some(fix.into()) }
    }

    /// It does not work before `fix` was run.
    pub fn finding(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Finding, message: message.into(), fix: Some(fix.into()) }
    }
}

/// Everything that was examined.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether there is no finding.
    pub ok: bool,
    /// Every check, in the order they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// How many checks found something.
    #[must_use]
    pub fn findings(&self) -> usize {
        self.checks.iter().filter(|c| c.level == Level::Finding).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let mark = match check.level {
                Level::Ok => "ok",
                Level::Advice => "advice",
                Level::Finding => "FINDING",
            };
            writeln!(f, "{mark:>7}  {}: {}", check.check, check.message)?;
            for line in check.fix.iter().flat_map(|fix| fix.lines()) {
                writeln!(f, "           {line}")?;
            }
        }
        match self.findings() {
            0 => write!(f, "no findings"),
            n => write!(f, "{n} finding{}", if n == 1 { "" } else { "s" }),
        }
    }
}

/// Makes every check, and takes in those that were made elsewhere. Refuses only when the server cannot be asked.
pub async fn examine(config: &Config, elsewhere: Vec<Check>) -> Result<Report, Refusal> {
    let asking = |e: pg::Error| e.into_refusal("examine the server");
    let session = pg::connect(config.address()?, Purpose::Control).await.map_err(asking)?;
    let mut checks = examine_all(&session, config).await.map_err(asking)?;
    checks.extend(elsewhere);
    let ok = checks.iter().all(|c| c.level != Level::Finding);
    Ok(Report { ok, checks })
}

async fn examine_all(session: &Session, config: &Config) -> Result<Vec<Check>, pg::Error> {
    let (facts, mut checks) = server::examine(session).await?;
    let captured = tables::read(session, config).await?;
    checks.extend(tables::examine(session, &captured, &facts.role).await?);
    checks.extend(publication::examine(session, config, &captured, facts.version_num).await?);
    checks.extend(data::examine(config));
    Ok(checks)
}

/// The statements of a hint like `as their owner: GRANT ..`.
fn sql_of(hint: &str) -> &str {
    hint.split_once(": ").map_or(hint, |(_, sql)| sql)
}
