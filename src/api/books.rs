//! `/v1/books/{engine}/{market}`: order books in the form of Binance's depth.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::app::App;
use super::error::{ApiError, Code};
use super::params::Params;
use super::read::Pairs;
use super::stamp;
use crate::sinks::standby::ShownLevel;

/// The answer: levels best first.
#[derive(Serialize)]
struct Depth {
    /// The LSN of the view, as a number.
    #[serde(rename = "lastUpdateId")]
    last_update_id: u64,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

/// `["price","quantity"]`, at level 2 `["price","quantity",orders]`.
#[derive(Serialize)]
#[serde(untagged)]
enum Level {
    Top(String, String),
    Depth(String, String, u64),
}

pub(super) async fn book(
    State(app): State<App>,
    Path((engine, market)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Result<Response, ApiError> {
    let params = Params::parse(pairs)?.without_columns()?;
    let view = app.view(&params).await?;
    let books = view.books();
    if !books.engines().any(|e| e == engine) {
        let there: Vec<&str> = books.engines().collect();
        let hint = match there.is_empty() {
            true => "no books are kept: standby.books configures them, of tables that are captured".to_owned(),
            false => format!("books are kept of: {}; add others to standby.books", there.join(", ")),
        };
        return Err(ApiError::new(Code::UnknownBook, format!("no book is kept of '{engine}'"), hint).at(view.position));
    }
    let level = params.level.unwrap_or(2);
    let levels_max = match level {
        1 => 1,
        _ => params.limit.unwrap_or(usize::MAX),
    };
    let shown = |level_of: ShownLevel| match level {
        1 => Level::Top(level_of.price, level_of.quantity),
        _ => Level::Depth(level_of.price, level_of.quantity, level_of.orders),
    };
    // A market without resting orders has an empty book.
    let (bids, asks) = match books.book(&engine, &market) {
        None => (Vec::new(), Vec::new()),
        Some(book) => {
            (book.bids().take(levels_max).map(shown).collect(), book.asks().take(levels_max).map(shown).collect())
        }
    };
    let depth = Depth { last_update_id: view.position.lsn.0, bids, asks };
    let mut response = Json(depth).into_response();
    stamp::put(&mut response, view.position);
    Ok(response)
}
