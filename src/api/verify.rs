//! `POST /v1/verify`: the one request that does more than read.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::app::App;
use super::error::ApiError;

pub(super) async fn verify(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    Ok(Json(app.service.verify.verify().await?))
}
