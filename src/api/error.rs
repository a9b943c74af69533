//! Errors as answers: `{"error":{"code","message","hint","position"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::model::Position;
use crate::refusal::{Kind, Refusal};

/// Clients come back after this many seconds when we are busy or not ready.
const RETRY_AFTER_S: &str = "1";

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A parameter cannot be understood.
    BadRequest,
    /// There is no such path.
    NotFound,
    /// The method is not offered at this path.
    MethodNotAllowed,
    /// The table is not captured.
    UnknownTable,
    /// The table has no such column.
    UnknownColumn,
    /// Rows cannot be found by these columns: no key or index begins with them.
    NotIndexed,
    /// There is no book of this engine.
    UnknownBook,
    /// The service runs without the standby.
    StandbyOff,
    /// The first copy has not ended, or the service is catching up.
    NotReady,
    /// `min_lsn` was not applied within `wait_ms`.
    PositionNotReached,
    /// As many requests as are allowed are being answered.
    Busy,
    /// The answer took too long.
    Timeout,
    /// What was asked for was refused; the name is that of the exit code.
    Refused(Kind),
}

impl Code {
    /// The name in the answer.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Code::BadRequest => "bad_request",
            Code::NotFound => "not_found",
            Code::MethodNotAllowed => "method_not_allowed",
            Code::UnknownTable => "unknown_table",
            Code::UnknownColumn => "unknown_column",
            Code::NotIndexed => "not_indexed",
            Code::UnknownBook => "unknown_book",
            Code::StandbyOff => "standby_off",
            Code::NotReady => "not_ready",
            Code::PositionNotReached => "position_not_reached",
            Code::Busy => "busy",
            Code::Timeout => "timeout",
            Code::Refused(kind) => kind.code(),
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Code::BadRequest | Code::UnknownColumn | Code::NotIndexed => StatusCode::BAD_REQUEST,
            Code::NotFound | Code::UnknownTable | Code::UnknownBook | Code::StandbyOff => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::NotReady | Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Code::PositionNotReached | Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Code::Refused(kind) => match kind {
                Kind::Usage => StatusCode::BAD_REQUEST,
                Kind::Locked => StatusCode::CONFLICT,
                Kind::Unreachable => StatusCode::BAD_GATEWAY,
                Kind::Finding | Kind::Server | Kind::Slot | Kind::Tape | Kind::Disk | Kind::NotConfirmed => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            },
        }
    }
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// What, for programs.
    pub code: Code,
    /// What happened, for people. Holds no row values.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// The position that was reached, where that matters.
    pub position: Option<Position>,
}

impl ApiError {
    /// `message` happened; `hint` says what to do.
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into(), position: None }
    }

    /// The error, with the position that was reached.
    #[must_use]
    pub fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::new(Code::Refused(refusal.kind), refusal.what, refusal.hint)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {
            "code": self.code.name(), "message": self.message, "hint": self.hint, "position": self.position,
        }});
        let mut response = (self.code.status(), Json(body)).into_response();
        if self.code.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        if let Some(position) = self.position {
            super::stamp::put(&mut response, position);
        }
        response
    }
}
