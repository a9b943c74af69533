//! `/v1/tables/{schema.table}/rows`: all rows of a table page by page, or those with given values.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::app::{App, Turn};
use super::error::{ApiError, Code};
use super::json::RowJson;
use super::params::{LIMIT_DEFAULT, Params};
use super::read::{self, Pairs};
use super::stamp;
use super::stream::{self, CHUNK_BYTES, More, Produce, rows_at_a_time};
use crate::model::Position;
use crate::pgoutput::cast;
use crate::sinks::standby::Table;

/// A value that was asked for: column of the relation, and text.
type Wanted = Vec<(usize, String)>;

pub(super) async fn rows(
    State(app): State<App>,
    Extension(turn): Extension<Turn>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
) -> Result<Response, ApiError> {
    let params = Params::parse(pairs)?;
    let view = app.view(&params).await?;
    let table = Arc::clone(read::table(&view, &name)?);
    let wanted = wanted(&table, &params.columns).map_err(|e| e.at(view.position))?;
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    // A token that is none is refused before the answer begins.
    page(&table, &wanted, params.next.as_deref(), 0)?;
    let answer = Rows { table, wanted, position: view.position, left: limit, token: params.next, state: Begun::No };
    let body = stream::body(answer, turn, app.service.stop.clone());
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    stamp::put(&mut response, view.position);
    Ok(response)
}

/// The columns asked for, which must hold all of the key or of an index.
fn wanted(table: &Table, columns: &[(String, String)]) -> Result<Wanted, ApiError> {
    let column = |(name, value): &(String, String)| match table.relation().column(name) {
        Some(column) => {
            let shape = &table.relation().columns[column];
            Ok((column, cast::from_text(shape.type_oid, shape.type_modifier, value).into_owned()))
        }
        None => {
            let what = format!("table {} has no column '{name}'", table.name());
            Err(ApiError::new(Code::UnknownColumn, what, "see docs/API.md for the names of parameters"))
        }
    };
    let wanted: Wanted = columns.iter().map(column).collect::<Result<_, _>>()?;
    let named = |name: &str| columns.iter().any(|(column, _)| column == name);
    let key = table.key_names();
    let by_key = !key.is_empty() && key.iter().all(|name| named(name));
    if wanted.is_empty() || by_key || table.indexes().any(|names| names.iter().all(|name| named(name))) {
        return Ok(wanted);
    }
    let ways: Vec<String> = std::iter::once(key.join(", "))
        .chain(table.indexes().map(|n| n.join(", ")))
        .filter(|w| !w.is_empty())
        .collect();
    let add = "add an index to standby.indexes, or read all rows and choose";
    let hint = match ways.as_slice() {
        [] => format!("the table has no key and no index: {add}"),
        [only] => format!("give all of {only}; or {add}"),
        several => format!("give all of one of: {}; or {add}", several.join(" | ")),
    };
    Err(ApiError::new(Code::NotIndexed, format!("rows of {} cannot be found by these columns", table.name()), hint))
}

fn page<'a>(
    table: &'a Table,
    wanted: &Wanted,
    token: Option<&str>,
    limit: usize,
) -> Result<(Vec<crate::sinks::standby::Row<'a>>, Option<String>), ApiError> {
    let bad = |e: crate::sinks::standby::BadToken| {
        ApiError::new(Code::BadRequest, format!("next: {e}"), "pass on what the last answer gave")
    };
    if wanted.is_empty() {
        return table.page(token, limit).map_err(bad);
    }
    let wanted: Vec<(usize, Option<&[u8]>)> = wanted.iter().map(|(c, v)| (*c, Some(v.as_bytes()))).collect();
    table.find_page(&wanted, token, limit).map_err(bad)
}

/// The answer while it is made: `{"position","table","rows":[..],"next"}`.
struct Rows {
    table: Arc<Table>,
    wanted: Wanted,
    position: Position,
    left: usize,
    token: Option<String>,
    state: Begun,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// Nothing is written yet.
    No,
    /// The head is.
    Head,
    /// A row is, so that the next one needs a comma.
    Row,
}

impl Produce for Rows {
    fn produce(&mut self, chunk: &mut Vec<u8>) -> Result<More, &'static str> {
        if self.state == Begun::No {
            let table = serde_json::to_string(self.table.name()).map_err(|_| "a name is not UTF-8")?;
            chunk.extend_from_slice(format!(r#"{{"position":"{}","table":{table},"rows":["#, self.position).as_bytes());
            self.state = Begun::Head;
        }
        while chunk.len() < CHUNK_BYTES {
            let at_a_time = self.left.min(rows_at_a_time(self.table.len(), self.table.bytes()));
            let table = Arc::clone(&self.table);
            let page = page(&table, &self.wanted, self.token.as_deref(), at_a_time);
            let (rows, next) = page.map_err(|_| "a token of ours is not one")?;
            self.left = self.left.saturating_sub(rows.len());
            for row in rows {
                // Copies of a row without a key stand together: they cannot be told apart by a token.
                for _ in 0..row.copies() {
                    if self.state == Begun::Row {
                        chunk.push(b',');
                    }
                    self.state = Begun::Row;
                    let json = RowJson { relation: table.relation(), row };
                    serde_json::to_writer(&mut *chunk, &json).map_err(|_| "a value is not UTF-8")?;
                }
            }
            if next.is_none() || self.left == 0 {
                let next = serde_json::to_string(&next).map_err(|_| "a token of ours is not UTF-8")?;
                chunk.extend_from_slice(format!(r#"],"next":{next}}}"#).as_bytes());
                return Ok(More::No);
            }
            self.token = next;
        }
        Ok(More::Yes)
    }
}
