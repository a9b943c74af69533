//! `Pgtape-Position`: where an answer was true.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use crate::model::Position;

const HEADER: HeaderName = HeaderName::from_static("pgtape-position");

/// Sets the header.
pub(super) fn put(response: &mut Response, position: Position) {
    if let Ok(value) = HeaderValue::from_str(&position.to_string()) {
        response.headers_mut().insert(HEADER, value);
    }
}

/// Whether it is set.
pub(super) fn is_on(response: &Response) -> bool {
    response.headers().contains_key(HEADER)
}
