//! `/livez`, `/readyz`, `/metrics`, `/v1/status`.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::app::App;
use super::error::{ApiError, Code};
use super::status::Status;

/// The process answers.
pub(super) async fn livez() -> Json<Value> {
    Json(json!({"ok": true}))
}

/// Reads are answered from a caught-up standby; else 503 with the reason.
pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let status = (app.service.status)();
    if status.ready {
        return Ok(Json(json!({"ok": true})));
    }
    let reason = status.reason.unwrap_or_else(|| "starting".into());
    Err(ApiError::new(Code::NotReady, reason, "ask again; /v1/status says how far it is").at(app.position()))
}

pub(super) async fn status(State(app): State<App>) -> Json<Status> {
    Json((app.service.status)())
}

/// The text format of Prometheus.
pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let text = (app.service.metrics)(&(app.service.status)());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
