//! The routes, what handlers share, and the bounds around them all.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::{ApiError, Code};
use super::params::WAIT_MAX;
use super::status::Status;
use super::verify::VerifyHandle;
use super::{books, health, rows, snapshot, verify};
use crate::model::{Lsn, Position};
use crate::sinks::standby::StandbyReader;

/// The header with the position an answer was true at.
const POSITION_HEADER: HeaderName = HeaderName::from_static("pgtape-position");

/// What the service gives to read. Nothing in it can write, but for `verify`.
#[derive(Clone)]
pub struct Service {
    /// The whole service at this moment.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// The metrics as text, for a status.
    pub metrics: Arc<dyn Fn(&Status) -> String + Send + Sync>,
    /// The tables and books; `None` when the service runs without.
    pub standby: Option<StandbyReader>,
    /// Asks the source to move the tape past this LSN, which an idle database would not do by itself.
    pub nudge: Arc<dyn Fn(Lsn) + Send + Sync>,
    /// Makes verifications.
    pub verify: Arc<dyn VerifyHandle>,
    /// Ends streamed answers.
    pub stop: CancellationToken,
}

/// Bounds of the service.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests answered at the same time.
    pub requests_max: usize,
    /// Snapshots streamed at the same time.
    pub snapshots_max: usize,
    /// An answer (its head, for a streamed one) may take this long, waiting for a position not counted.
    pub request_timeout: Duration,
}

/// What handlers share.
#[derive(Clone)]
pub(super) struct App {
    pub service: Service,
    pub limits: Limits,
    requests: Arc<Semaphore>,
    snapshots: Arc<Semaphore>,
}

impl App {
    /// The newest position that reads see.
    pub fn position(&self) -> Position {
        match &self.service.standby {
            Some(standby) => standby.view().position,
            None => (self.service.status)().tape.durable,
        }
    }

    /// Room for one more snapshot.
    pub fn snapshot_permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let busy = |_| ApiError::new(Code::Busy, "too many snapshots at a time", "come back a little later");
        Arc::clone(&self.snapshots).try_acquire_owned().map_err(busy)
    }
}

/// The right to be answered, given back when it is dropped.
#[derive(Clone)]
pub(super) struct Turn(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

/// The whole service as a router.
pub fn router(service: Service, limits: Limits) -> Router {
    let app = App {
        service,
        limits,
        requests: Arc::new(Semaphore::new(limits.requests_max)),
        snapshots: Arc::new(Semaphore::new(limits.snapshots_max)),
    };
    let bounded = Router::new()
        .route("/metrics", get(health::metrics))
        .route("/v1/status", get(health::status))
        .route("/v1/tables/{table}/rows", get(rows::rows))
        .route("/v1/books/{engine}/{market}", get(books::book))
        .route("/v1/snapshot", get(snapshot::snapshot))
        .layer(from_fn_with_state(app.clone(), in_time));
    Router::new()
        .route("/v1/verify", post(verify::verify))
        .merge(bounded)
        .layer(from_fn_with_state(app.clone(), in_turn))
        // Health is answered whatever the load.
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(app.clone(), stamped))
        .with_state(app)
}

async fn nowhere(request: Request) -> ApiError {
    ApiError::new(Code::NotFound, format!("there is nothing at {}", request.uri().path()), "see docs/API.md")
}

async fn no_method(request: Request) -> ApiError {
    let what = format!("{} is not offered at {}", request.method(), request.uri().path());
    ApiError::new(Code::MethodNotAllowed, what, "see docs/API.md")
}

/// At most so many requests at a time. A streamed answer keeps its turn until its end.
async fn in_turn(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match Arc::clone(&app.requests).try_acquire_owned() {
        Ok(turn) => {
            request.extensions_mut().insert(Turn(Arc::new(turn)));
            next.run(request).await
        }
        Err(_) => ApiError::new(Code::Busy, "too many requests at a time", "come back a little later").into_response(),
    }
}

/// At most so long for each. Verifications are not meant: they take as long as the tables are large.
async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    match timeout(app.limits.request_timeout + WAIT_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(Code::Timeout, "the answer took too long", "ask for less at a time").into_response(),
    }
}

/// Every answer says where it was true. Handlers that read a view have stamped its position already.
async fn stamped(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if !response.headers().contains_key(POSITION_HEADER) {
        stamp(&mut response, app.position());
    }
    response
}

/// Sets `Pgtape-Position`.
pub(super) fn stamp(response: &mut Response, position: Position) {
    if let Ok(value) = HeaderValue::from_str(&position.to_string()) {
        response.headers_mut().insert(POSITION_HEADER, value);
    }
}
