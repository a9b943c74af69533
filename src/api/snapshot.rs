//! `/v1/snapshot`: many tables at one commit position, as lines of JSON.
//!
//! First `{"position","epoch","tables"}`, then `{"table","row"}`, last `{"end":true,"rows":n}`: an answer without its last
//! line is not whole.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::app::{App, Turn};
use super::error::{ApiError, Code};
use super::json::RowJson;
use super::params::Params;
use super::read::Pairs;
use super::stamp;
use super::stream::{self, CHUNK_BYTES, More, Produce, rows_at_a_time};
use crate::model::{Pattern, Position};
use crate::sinks::standby::{Table, View};

pub(super) async fn snapshot(
    State(app): State<App>,
    Extension(turn): Extension<Turn>,
    Query(pairs): Pairs,
) -> Result<Response, ApiError> {
    let params = Params::parse(pairs)?.without_columns()?;
    let view = app.view(&params).await?;
    let tables = choose(&view, params.tables.as_deref()).map_err(|e| e.at(view.position))?;
    let permit = app.snapshot_permit()?;
    let (position, epoch) = (view.position, view.epoch);
    let answer = Snapshot { position, epoch, tables, at: 0, token: None, begun: false, rows: 0 };
    let body = stream::body(answer, (turn, permit), app.service.stop.clone());
    let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response();
    stamp::put(&mut response, position);
    Ok(response)
}

/// The tables meant: names or patterns separated by commas; all of them when nothing is said.
fn choose(view: &View, list: Option<&str>) -> Result<Vec<Arc<Table>>, ApiError> {
    let Some(list) = list.filter(|l| !l.is_empty()) else { return Ok(view.tables().cloned().collect()) };
    let unknown = |what: &str| {
        let hint = "write schema.table or schema.*, as /v1/status lists them";
        ApiError::new(Code::UnknownTable, format!("'{what}' is no captured table"), hint)
    };
    let patterns = Pattern::parse_list(list).map_err(|entry| unknown(&entry))?;
    for pattern in &patterns {
        if !view.tables().any(|t| pattern.matches(t.name())) {
            return Err(unknown(&pattern.to_string()));
        }
    }
    Ok(view.tables().filter(|t| patterns.iter().any(|p| p.matches(t.name()))).cloned().collect())
}

/// The answer while it is made.
struct Snapshot {
    position: Position,
    epoch: u32,
    tables: Vec<Arc<Table>>,
    /// The table being written.
    at: usize,
    token: Option<String>,
    begun: bool,
    rows: u64,
}

impl Produce for Snapshot {
    fn produce(&mut self, chunk: &mut Vec<u8>) -> Result<More, &'static str> {
        if !self.begun {
            let names: Vec<_> = self.tables.iter().map(|t| t.name()).collect();
            line(chunk, &json!({"position": self.position, "epoch": self.epoch, "tables": names}));
            self.begun = true;
        }
        while chunk.len() < CHUNK_BYTES {
            let Some(table) = self.tables.get(self.at).cloned() else {
                line(chunk, &json!({"end": true, "rows": self.rows}));
                return Ok(More::No);
            };
            let page = table.page(self.token.as_deref(), rows_at_a_time(table.len(), table.bytes()));
            let (rows, next) = page.map_err(|_| "a token of ours is not one")?;
            let name = serde_json::to_string(table.name()).map_err(|_| "a name is not UTF-8")?;
            for row in rows {
                for _ in 0..row.copies() {
                    chunk.extend_from_slice(format!(r#"{{"table":{name},"row":"#).as_bytes());
                    let json = RowJson { relation: table.relation(), row };
                    serde_json::to_writer(&mut *chunk, &json).map_err(|_| "a value is not UTF-8")?;
                    chunk.extend_from_slice(b"}\n");
                    self.rows += 1;
                }
            }
            if next.is_none() {
                // Its rows are not needed any more.
                self.at += 1;
            }
            self.token = next;
        }
        Ok(More::Yes)
    }
}

fn line(chunk: &mut Vec<u8>, value: &serde_json::Value) {
    chunk.extend_from_slice(value.to_string().as_bytes());
    chunk.push(b'\n');
}
