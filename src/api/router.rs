//! The routes, and the bounds around them all.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::app::{App, Limits, Service};
use super::error::{ApiError, Code};
use super::params::WAIT_MAX;
use super::{books, health, kafka, outbox, rows, snapshot, stamp, verify};

/// The whole service as a router.
pub fn router(service: Service, limits: Limits) -> Router {
    let app = App::new(service, limits);
    let bounded = Router::new()
        .route("/metrics", get(health::metrics))
        .route("/v1/status", get(health::status))
        .route("/v1/tables/{table}/rows", get(rows::rows))
        .route("/v1/books/{engine}/{market}", get(books::book))
        .route("/v1/outbox", get(outbox::show))
        .route("/v1/snapshot", get(snapshot::snapshot))
        .layer(from_fn_with_state(app.clone(), in_time));
    Router::new()
        .route("/v1/verify", post(verify::verify))
        .route("/v1/kafka/{sink}/{order}", post(kafka::order))
        .route("/v1/outbox/retry", post(outbox::retry))
        .route("/v1/outbox/purge", post(outbox::purge))
        .merge(bounded)
        .layer(from_fn_with_state(app.clone(), in_turn))
        // Health is answered whatever the load.
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(readable))
        .layer(from_fn_with_state(app.clone(), stamped))
        .with_state(app)
}

/// A path that is no text once decoded names nothing; the router itself would say so in words for people only.
async fn readable(request: Request, next: Next) -> Response {
    match percent_decode_str(request.uri().path()).decode_utf8() {
        Ok(_) => next.run(request).await,
        Err(_) => {
            let what = format!("the path {} is not UTF-8", request.uri().path());
            ApiError::new(Code::BadRequest, what, "percent-encode names as UTF-8").into_response()
        }
    }
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
    match app.turn() {
        Ok(turn) => {
            request.extensions_mut().insert(turn);
            next.run(request).await
        }
        Err(busy) => busy.into_response(),
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
    if !stamp::is_on(&response) {
        stamp::put(&mut response, app.position());
    }
    response
}
