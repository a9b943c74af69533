//! `pgtape status`: `/v1/status` of the running service.

use std::time::Duration;

use serde_json::Value;

use super::{Context, blocking, client};
use crate::refusal::Refusal;

/// The service answers this at once.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &Context) -> Result<(), Refusal> {
    let config = context.config.clone();
    let answer = blocking(move || client::get(&config, "/v1/status", TIMEOUT)).await?;
    if answer.status != 200 {
        return Err(client::refusal(&answer));
    }
    context.out.result(&answer.body, || text(&answer.body));
    Ok(())
}

/// A screen of it for people: one line a leaf, lists of objects as tables.
fn text(status: &Value) -> String {
    let mut lines = Vec::new();
    walk("", status, &mut lines);
    lines.join("\n")
}

fn walk(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, value, lines);
            }
        }
        Value::Array(items) if items.is_empty() => lines.push(format!("{path}: none")),
        Value::Array(items) => {
            lines.push(format!("{path}:"));
            lines.extend(table(items));
        }
        Value::Null | Value::String(_) | Value::Bool(_) | Value::Number(_) => {
            lines.push(format!("{path}: {}", plain(value)));
        }
    }
}

/// Objects with the same keys, aligned under them: numbers to the right, all else to the left. A column of nulls is left
/// out.
fn table(items: &[Value]) -> Vec<String> {
    let Some(Value::Object(first)) = items.first() else { return items.iter().map(plain).collect() };
    let columns: Vec<(&String, usize, bool)> = first
        .keys()
        .filter(|key| items.iter().any(|item| !item[key.as_str()].is_null()))
        .map(|key| {
            let cells = || items.iter().map(|item| &item[key]);
            let width = cells().map(|cell| plain(cell).chars().count()).chain([key.len()]).max().unwrap_or_default();
            (key, width, cells().any(Value::is_number))
        })
        .collect();
    let line = |cell_of: &dyn Fn(&str) -> String| {
        let cells = columns.iter().map(|&(key, width, right)| match right {
            true => format!("{:>width$}", cell_of(key)),
            false => format!("{:<width$}", cell_of(key)),
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    let head = line(&|key| key.to_owned());
    std::iter::once(head).chain(items.iter().map(|item| line(&|key| plain(&item[key])))).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_aligned_tables() {
        let tables = [
            json!({"table": "a.long", "rows": 7, "why": null, "error": null}),
            json!({"table": "b", "rows": 12345, "why": "x", "error": null}),
        ];
        let status = json!({"ready": true, "slot": {"name": "s"}, "tables": tables, "alarms": []});
        let want = "ready: true\nslot.name: s\ntables:\n  table    rows  why\n  a.long      7  -\n  b       12345  x\nalarms: none";
        assert_eq!(text(&status), want);
    }
}
