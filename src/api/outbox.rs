//! `/v1/outbox`: events that wait, are dead or undelivered; retried; deleted when they were delivered long ago.
//!
//! What changes something needs a reason, which is logged as that of the command, and is refused to pages of browsers.

use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::extract::{Query as Pairs, State};
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

use super::app::App;
use super::error::{ApiError, Code};
use super::params::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::config::Span;
use crate::ops::outbox::{Outboxes, Purge, Query, Retry, Wanted, list};
use crate::ops::{self, Ask, Plan, Terms};
use crate::refusal::Refusal;

type Given = Pairs<Vec<(String, String)>>;

pub(super) async fn show(State(app): State<App>, Pairs(pairs): Given) -> Result<Json<Value>, ApiError> {
    let given = Words::of(pairs, &["state", "aggregate", "limit", "sink"])?;
    let state = given.parse("state", "parked, dead or undelivered", |text| text.parse::<Wanted>().ok())?;
    let limit = |text: &str| text.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
    let aggregate = |text: &str| text.split_once('/').map(|(kind, id)| (kind.to_owned(), id.to_owned()));
    let query = Query {
        state: state.unwrap_or(Wanted::Undelivered),
        aggregate: given.parse("aggregate", "a type and an id, as in order/7", aggregate)?,
        limit: given.parse("limit", &format!("a number from 1 to {LIMIT_MAX}"), limit)?.unwrap_or(LIMIT_DEFAULT),
    };
    let outboxes = outboxes(&app)?;
    let listing = list(outboxes.find(given.get("sink"))?, &query).await?;
    Ok(Json(json!(listing)))
}

pub(super) async fn retry(
    State(app): State<App>,
    headers: HeaderMap,
    Pairs(pairs): Given,
) -> Result<Json<Value>, ApiError> {
    refuse_pages(&headers)?;
    let given = Words::of(pairs, &["ids", "state", "reason", "sink"])?;
    let all = given.parse("state", "dead", |text| (text == "dead").then_some(()))?.is_some();
    let ids: Vec<String> = given.get("ids").map_or(Vec::new(), |ids| ids.split(',').map(str::to_owned).collect());
    if ids.is_empty() != all {
        return Err(ApiError::new(Code::BadRequest, "which events are meant is not said", "ids=1,2 or state=dead"));
    }
    let outboxes = outboxes(&app)?;
    let outbox = outboxes.find(given.get("sink"))?;
    let command = Retry { outbox, ids: &ids, retried: OnceLock::new() };
    let outcome = ops::perform(&command, &given.terms(), &Agreed, &outboxes.config).await?;
    Ok(Json(json!({"sink": outbox.sink, "retried": command.retried.get(), "logged_in": outcome.logged_in})))
}

pub(super) async fn purge(
    State(app): State<App>,
    headers: HeaderMap,
    Pairs(pairs): Given,
) -> Result<Json<Value>, ApiError> {
    refuse_pages(&headers)?;
    let given = Words::of(pairs, &["older_than", "reason", "sink"])?;
    let age = given.parse("older_than", "an age like 7d", |text| text.parse::<Span>().ok())?;
    let older_than = age.ok_or_else(|| ApiError::new(Code::BadRequest, "older_than is missing", "older_than=7d"))?;
    let outboxes = outboxes(&app)?;
    let outbox = outboxes.find(given.get("sink"))?;
    let command = Purge { outbox, older_than, purged: OnceLock::new() };
    let outcome = ops::perform(&command, &given.terms(), &Agreed, &outboxes.config).await?;
    Ok(Json(json!({"sink": outbox.sink, "purged": command.purged.get(), "logged_in": outcome.logged_in})))
}

fn outboxes(app: &App) -> Result<Arc<Outboxes>, ApiError> {
    let there = app.service.outboxes.clone().filter(|outboxes| !outboxes.all.is_empty());
    there.ok_or_else(|| ApiError::new(Code::NotFound, "no sink relays an outbox", "see docs/OUTBOX.md"))
}

/// A page that a browser shows may send requests to this address; what it cannot do is hide where they come from.
fn refuse_pages(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(header::ORIGIN) {
        return Err(ApiError::new(
            Code::BadRequest,
            "a page in a browser may not ask for this",
            "use curl or pgtape outbox",
        ));
    }
    Ok(())
}

/// Whoever sends the request has agreed.
struct Agreed;

impl Ask for Agreed {
    fn say(&self, _plan: &Plan) {}

    fn confirm(&self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Parameters of these routes.
struct Words(Vec<(String, String)>);

impl Words {
    /// Refuses what is not known, or there twice.
    fn of(pairs: Vec<(String, String)>, known: &[&str]) -> Result<Self, ApiError> {
        for (i, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let what = format!("there is no parameter '{name}' here");
                return Err(ApiError::new(Code::BadRequest, what, "see docs/API.md"));
            }
            if pairs[..i].iter().any(|(earlier, _)| earlier == name) {
                let what = format!("{name} is there more than once");
                return Err(ApiError::new(Code::BadRequest, what, "give each parameter once; see docs/API.md"));
            }
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn parse<T>(&self, name: &str, what: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let bad = || ApiError::new(Code::BadRequest, format!("{name}: '{text}' is not {what}"), "see docs/API.md");
        read(text).map(Some).ok_or_else(bad)
    }

    fn terms(&self) -> Terms {
        Terms { dry_run: false, yes: true, reason: self.get("reason").unwrap_or_default().to_owned() }
    }
}
