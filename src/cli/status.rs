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

/// A screen of it for people: one line a leaf, arrays of objects as one line an element.
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
        Value::Array(items) => {
            for item in items {
                lines.push(format!("{path}: {}", one_line(item)));
            }
        }
        Value::Null => lines.push(format!("{path}: -")),
        Value::String(text) => lines.push(format!("{path}: {text}")),
        Value::Bool(_) | Value::Number(_) => lines.push(format!("{path}: {value}")),
    }
}

fn one_line(value: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        other => plain(other),
    }
}
