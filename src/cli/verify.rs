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
    let report = match blocking(move || client::post(&config, "/v1/verify", timeout)).await {
        Ok(answer) if answer.status == 200 => answer.body,
        Ok(answer) => return Err(client::refusal(&answer)),
        Err(refusal) if refusal.kind == Kind::Unreachable => alone(context).await?,
        Err(refusal) => return Err(refusal),
    };
    context.out.result(&report, || text(&report));
    if report["ok"] == Value::Bool(true) {
        return Ok(());
    }
    Err(Refusal::new(Kind::Finding, "verify found differences", "docs/OPERATIONS.md says what each may mean"))
}

/// No service answers: brings tape and sinks up to date, compares, and ends again.
async fn alone(context: &Context) -> Result<Value, Refusal> {
    context.config.tables()?;
    let report = crate::run::verify_once(context.config.clone(), super::version::text()).await?;
    Ok(serde_json::to_value(report).expect("a report is always JSON"))
}

fn text(report: &Value) -> String {
    let mut lines = vec![format!("at {}", report["lsn"].as_str().unwrap_or("?"))];
    for table in report["tables"].as_array().into_iter().flatten() {
        let counts = format!("{} rows in Postgres, {} in standby", table["rows_postgres"], table["rows_standby"]);
        compared(table, "table", &counts, &mut lines);
    }
    for rollup in report["rollups"].as_array().into_iter().flatten() {
        let counts = format!("{} groups, {} quarantined", rollup["groups"], rollup["quarantined"]);
        compared(rollup, "rollup", &counts, &mut lines);
    }
    lines.push(verdict(report));
    lines.join("\n")
}

/// `equal: 28 tables, 5 roll-ups at 0/16B3748`, or how many of them differ.
fn verdict(report: &Value) -> String {
    let count = |part: &str, name: &str| {
        let all = report[part].as_array().map_or(&[][..], Vec::as_slice);
        match all.iter().filter(|item| item["equal"] != Value::Bool(true)).count() {
            0 => format!("{} {name}", all.len()),
            differ => format!("{differ} of {} {name}", all.len()),
        }
    };
    let result = if report["ok"] == Value::Bool(true) { "equal" } else { "DIFFERENT" };
    let lsn = report["lsn"].as_str().unwrap_or("?");
    format!("{result}: {}, {} at {lsn}", count("tables", "tables"), count("rollups", "roll-ups"))
}

/// One line, and one more for each row or group that differs.
fn compared(item: &Value, name: &str, counts: &str, lines: &mut Vec<String>) {
    let equal = if item["equal"] == Value::Bool(true) { "equal" } else { "DIFFERENT" };
    lines.push(format!("{equal:>9}  {}  {counts}", item[name].as_str().unwrap_or("?")));
    lines.extend(item["note"].as_str().map(|note| format!("           {note}")));
    for difference in item["differences"].as_array().into_iter().flatten() {
        let only_in = difference["only_in"].as_str().unwrap_or("?");
        let what = match difference["columns"].as_array() {
            Some(columns) if !columns.is_empty() => format!("differs in {}", difference["columns"]),
            _ => format!("only in {only_in}"),
        };
        lines.push(format!("           {} {what}", difference["key"]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_line_is_the_verdict() {
        let check = |equal: [bool; 2], want: &str| {
            let table = |equal: bool| json!({"table": "s.t", "equal": equal, "rows_postgres": 1, "rows_standby": 1});
            let tables = equal.map(table);
            let report = json!({"ok": equal == [true, true], "lsn": "0/A", "tables": tables, "rollups": []});
            assert_eq!(text(&report).lines().last(), Some(want));
        };
        check([true, true], "equal: 2 tables, 0 roll-ups at 0/A");
        check([true, false], "DIFFERENT: 1 of 2 tables, 0 roll-ups at 0/A");
    }
}
