//! Notes: what a restart must know of a row, as JSON. One note a row, under its id; and one of a unit
//! that is committed in parts, while it is.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::desk::{Mark, Outcome};
use super::parked::{Aggregate, Body, NOTE_BODY_BYTES_MAX, Parked, Place};
use crate::model::Position;

/// Before the row's id in the note's key.
const KEY_PREFIX: &str = "row/";

/// The key of the note that says how far a unit was read whose effect is committed in parts.
pub const DONE: &str = "done";

/// The key of a row's note.
#[must_use]
pub fn key(id: &str) -> String {
    format!("{KEY_PREFIX}{id}")
}

/// The row that a key names.
#[must_use]
pub fn id(key: &str) -> Option<&str> {
    key.strip_prefix(KEY_PREFIX)
}

/// What a note says of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// It waits.
    Parked(Parked),
    /// It went, and the table does not say so yet.
    Settled(Mark),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
enum Text {
    Parked {
        /// Only where it is not that of `at`: of a copied row.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aggregate_type: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aggregate_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event_type: Option<String>,
        body: BodyText,
        available_us: i64,
        retry_us: i64,
        attempts: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        at: String,
    },
    Delivered {
        at_us: i64,
        attempts: u32,
    },
    Dead {
        at_us: i64,
        attempts: u32,
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum BodyText {
    Elsewhere,
    Text { payload: Option<String>, headers: Option<String> },
    Base64 { payload: String, headers: Option<String> },
}

/// The note's value.
#[must_use]
pub fn encode_parked(row: &Parked) -> Vec<u8> {
    let body = match &row.body {
        Body::Held { payload, headers } if row.body.bytes() <= NOTE_BODY_BYTES_MAX => body_text(payload, headers),
        Body::Held { .. } | Body::Elsewhere => BodyText::Elsewhere,
    };
    bytes(&Text::Parked {
        within: Some(row.place.within).filter(|_| row.place != Place::of(row.at)),
        aggregate_type: row.aggregate.kind.clone(),
        aggregate_id: row.aggregate.id.clone(),
        event_type: row.event_type.clone(),
        body,
        available_us: row.available_us,
        retry_us: row.retry_us,
        attempts: row.attempts,
        error: row.error.clone(),
        at: row.at.to_string(),
    })
}

/// The note's value.
#[must_use]
pub fn encode_settled(mark: &Mark) -> Vec<u8> {
    let (at_us, attempts) = (mark.at_us, mark.attempts);
    bytes(&match &mark.outcome {
        Outcome::Delivered => Text::Delivered { at_us, attempts },
        Outcome::Dead(reason) => Text::Dead { at_us, attempts, reason: reason.clone() },
    })
}

fn body_text(payload: &Option<Vec<u8>>, headers: &Option<String>) -> BodyText {
    let headers = headers.clone();
    match payload.as_deref().map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => BodyText::Text { payload: None, headers },
        Some((Ok(text), _)) => BodyText::Text { payload: Some(text.to_owned()), headers },
        Some((Err(_), bytes)) => BodyText::Base64 { payload: BASE64_STANDARD.encode(bytes), headers },
    }
}

fn bytes(text: &Text) -> Vec<u8> {
    serde_json::to_vec(text).expect("texts and numbers have a JSON form")
}

/// Reads a note; `None` when it is not one of ours.
#[must_use]
pub fn decode(value: &[u8]) -> Option<Noted> {
    Some(match serde_json::from_slice(value).ok()? {
        Text::Parked {
            within,
            aggregate_type,
            aggregate_id,
            event_type,
            body,
            available_us,
            retry_us,
            attempts,
            error,
            at,
        } => {
            let at = at.parse::<Position>().ok()?;
            let place = within.map_or_else(|| Place::of(at), |within| Place { lsn: at.lsn, within });
            Noted::Parked(Parked {
                place,
                aggregate: Arc::new(Aggregate { kind: aggregate_type, id: aggregate_id }),
                event_type,
                body: decode_body(body)?,
                available_us,
                retry_us,
                attempts,
                error,
                at,
            })
        }
        Text::Delivered { at_us, attempts } => Noted::Settled(Mark { at_us, attempts, outcome: Outcome::Delivered }),
        Text::Dead { at_us, attempts, reason } => {
            Noted::Settled(Mark { at_us, attempts, outcome: Outcome::Dead(reason) })
        }
    })
}

fn decode_body(body: BodyText) -> Option<Body> {
    Some(match body {
        BodyText::Elsewhere => Body::Elsewhere,
        BodyText::Text { payload, headers } => Body::Held { payload: payload.map(String::into_bytes), headers },
        BodyText::Base64 { payload, headers } => {
            Body::Held { payload: Some(BASE64_STANDARD.decode(payload).ok()?), headers }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lsn;

    fn parked(body: Body) -> Parked {
        Parked {
            place: Place { lsn: Lsn(9), within: 7 },
            aggregate: Arc::new(Aggregate { kind: Some("order".into()), id: None }),
            event_type: Some("order.placed".into()),
            body,
            available_us: i64::MAX,
            retry_us: i64::MIN,
            attempts: 3,
            error: Some("too large".into()),
            at: Position::at(Lsn(9), 1),
        }
    }

    #[test]
    fn what_is_noted_is_read_back() {
        let held =
            |payload: Option<&[u8]>| Body::Held { payload: payload.map(<[u8]>::to_vec), headers: Some("{}".into()) };
        for body in [held(None), held(Some(b"{\"a\": 1}")), held(Some(&[0, 255])), Body::Elsewhere] {
            let row = parked(body);
            assert_eq!(decode(&encode_parked(&row)), Some(Noted::Parked(row)));
        }
        for outcome in [Outcome::Delivered, Outcome::Dead("why".into())] {
            let mark = Mark { at_us: 5, attempts: 1, outcome };
            assert_eq!(decode(&encode_settled(&mark)), Some(Noted::Settled(mark)));
        }
        assert_eq!(decode(br#"{"is":"lost"}"#), None);
        assert_eq!(id(&key("a/b")), Some("a/b"));
    }

    #[test]
    fn a_large_body_is_not_noted() {
        let row = parked(Body::Held { payload: Some(vec![b'x'; NOTE_BODY_BYTES_MAX + 1]), headers: None });
        let note = encode_parked(&row);
        assert!(note.len() < 1000);
        assert_eq!(decode(&note), Some(Noted::Parked(parked(Body::Elsewhere))));
    }
}
