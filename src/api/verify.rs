//! `POST /v1/verify`: the one request that does more than read.

use std::pin::Pin;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::error::ApiError;
use super::router::App;
use crate::refusal::Refusal;

/// A verification under way.
pub type VerifyFuture = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send>>;

/// Makes a verification: holds the sinks at one position, compares, releases. One at a time; a second one is refused
/// with [`crate::refusal::Kind::Locked`].
pub trait VerifyHandle: Send + Sync {
    /// Starts one; the report is the answer. Dropping the future releases the sinks.
    fn verify(&self) -> VerifyFuture;
}

pub(super) async fn verify(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    Ok(Json(app.service.verify.verify().await?))
}
