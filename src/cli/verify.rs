//! `pgtape verify`: standby and roll-ups against Postgres at one log position.

use std::time::Duration;

use serde_json::Value;

use super::{Context, blocking, client};
use crate::refusal::{Kind, Refusal};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Wait this long for the answer of the service, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Refusal> {
    let config = context.config.clone();
    let timeout = Duration::from_secs(args.timeout);
    let answer = blocking(move || client::post(&config, "/v1/verify", timeout)).await?;
    if answer.status != 200 {
        return Err(client::refusal(&answer));
    }
    context.out.result(&answer.body, || text(&answer.body));
    if answer.body["ok"] == Value::Bool(true) {
        return Ok(());
    }
    Err(Refusal::new(Kind::Finding, "verify found differences", "docs/OPERATIONS.md says what each may mean"))
}

fn text(report: &Value) -> String {
    let mut lines = vec![format!("at {}", report["lsn"].as_str().unwrap_or("?"))];
    for table in report["tables"].as_array().into_iter().flatten() {
        let equal = if table["equal"] == Value::Bool(true) { "equal" } else { "DIFFERENT" };
        lines.push(format!(
            "{equal:>9}  {}  {} rows in Postgres, {} in standby",
            table["table"].as_str().unwrap_or("?"),
            table["rows_postgres"],
            table["rows_standby"]
        ));
    }
    for rollup in report["rollups"].as_array().into_iter().flatten() {
        let equal = if rollup["equal"] == Value::Bool(true) { "equal" } else { "DIFFERENT" };
        lines.push(format!(
            "{equal:>9}  {}  {} groups, {} quarantined",
            rollup["rollup"].as_str().unwrap_or("?"),
            rollup["groups"],
            rollup["quarantined"]
        ));
    }
    lines.join("\n")
}
