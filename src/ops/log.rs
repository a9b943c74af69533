//! The operator log: a row of `pgtape.operator_log` where the schema exists, else a line of a file in the data
//! directory. A command that was applied is never undone because its note failed: the failure is said instead.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use serde_json::json;

use super::Plan;
use crate::config::Config;
use crate::pg::{self, Purpose};
use crate::refusal::Refusal;

/// The file, one JSON object a line, in the data directory.
pub const LOG_FILE: &str = "operator.log";

/// Notes what was applied and how it went; returns where.
pub(super) async fn note(config: &Config, plan: &Plan, reason: &str, result: &Result<(), Refusal>) -> String {
    let outcome = match result {
        Ok(()) => "done".to_owned(),
        Err(refusal) => format!("failed: {refusal}"),
    };
    let actor = actor();
    let detail =
        json!({"steps": plan.steps, "consequences": plan.consequences, "facts": plan.detail, "outcome": outcome});
    match in_postgres(config, &actor, &plan.command, reason, &detail).await {
        Ok(true) => return "pgtape.operator_log".into(),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the operator log in Postgres cannot be written, the file is used"),
    }
    let at = jiff::Timestamp::now().to_string();
    let line = json!({"at": at, "actor": actor, "command": plan.command, "reason": reason, "detail": detail});
    if !config.data_dir.exists() {
        return "nowhere: neither schema pgtape nor a data directory is left".into();
    }
    match in_file(config, &line.to_string()) {
        Ok(path) => path,
        Err(error) => {
            tracing::error!(%error, "the operator log cannot be written");
            format!("nowhere: {error}")
        }
    }
}

/// The user and the process's host, as a person would look for them.
fn actor() -> String {
    let host = rustix::system::uname();
    format!("uid {}@{}", rustix::process::getuid().as_raw(), host.nodename().to_string_lossy())
}

/// False when there is no server, or no such table on it.
async fn in_postgres(
    config: &Config,
    actor: &str,
    command: &str,
    reason: &str,
    detail: &serde_json::Value,
) -> Result<bool, pg::Error> {
    let Some(address) = &config.postgres else { return Ok(false) };
    let session = pg::connect(address, Purpose::Control).await?;
    let row = session.query_one("SELECT to_regclass('pgtape.operator_log') IS NOT NULL", &[]).await?;
    if !row.get::<_, bool>(0) {
        return Ok(false);
    }
    let insert = "INSERT INTO pgtape.operator_log (actor, command, reason, detail) VALUES ($1, $2, $3, $4)";
    session.execute(insert, &[&actor, &command, &reason, detail]).await?;
    Ok(true)
}

fn in_file(config: &Config, line: &str) -> std::io::Result<String> {
    let path = config.data_dir.join(LOG_FILE);
    let mut file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()?;
    Ok(path.display().to_string())
}
