//! Query parameters: reserved names, and everything else is a column.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::HeaderMap;

use super::error::{ApiError, Code};
use crate::model::Position;

/// Rows of one answer when nothing is said.
pub const LIMIT_DEFAULT: usize = 1_000;
/// Rows of one answer, at most.
pub const LIMIT_MAX: usize = 1_000_000;
/// How long `min_lsn` waits when `wait_ms` is not said.
const WAIT_DEFAULT: Duration = Duration::from_secs(5);
/// How long `min_lsn` waits at most.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);
/// A column of a reserved name is written with this prefix.
const COLUMN_PREFIX: &str = "eq.";

/// Names that are ours; a column of such a name needs the prefix.
const RESERVED: [&str; 6] = ["min_lsn", "wait_ms", "limit", "level", "next", "tables"];

/// The parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Params {
    pub min_position: Option<Position>,
    pub wait: Duration,
    pub limit: Option<usize>,
    pub next: Option<String>,
    pub level: Option<u8>,
    pub tables: Option<String>,
    /// Everything else: column and value, in the order given.
    pub columns: Vec<(String, String)>,
}

impl Params {
    /// Reads the pairs of a query string.
    pub fn parse(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        let mut params = Params { wait: WAIT_DEFAULT, ..Params::default() };
        let mut names = HashSet::new();
        for (name, value) in pairs {
            if !names.insert(canonical(&name).to_owned()) {
                let hint = "give each parameter once; see docs/API.md";
                return Err(ApiError::new(Code::BadRequest, format!("{name} is there more than once"), hint));
            }
            let bad = |what: &str| {
                ApiError::new(Code::BadRequest, format!("{name}: '{value}' is not {what}"), "see docs/API.md")
            };
            match name.as_str() {
                "min_lsn" => {
                    let position = value.parse().map_err(|_| bad("a position like 0/16B3748"))?;
                    params.min_position = Some(position);
                }
                "wait_ms" => {
                    let wait = value.parse().ok().map(Duration::from_millis).filter(|wait| *wait <= WAIT_MAX);
                    params.wait = wait.ok_or_else(|| bad(&format!("a number from 0 to {}", WAIT_MAX.as_millis())))?;
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
                    params.limit = Some(limit.ok_or_else(|| bad(&format!("a number from 1 to {LIMIT_MAX}")))?);
                }
                "level" => {
                    let level = value.parse().ok().filter(|n| (1..=2).contains(n));
                    params.level = Some(level.ok_or_else(|| bad("1 or 2"))?);
                }
                "next" => params.next = Some(value),
                "tables" => params.tables = Some(value),
                column => {
                    let column = column.strip_prefix(COLUMN_PREFIX).unwrap_or(column);
                    params.columns.push((column.to_owned(), value));
                }
            }
        }
        Ok(params)
    }

    /// Refuses parameters that mean nothing here, so that a misspelt one is not passed over.
    pub fn without_columns(self) -> Result<Self, ApiError> {
        match self.columns.first() {
            None => Ok(self),
            Some((name, _)) => {
                Err(ApiError::new(Code::BadRequest, format!("there is no parameter '{name}' here"), "see docs/API.md"))
            }
        }
    }
}

/// Parameters of a request that knows all their names.
#[derive(Debug)]
pub(super) struct Named(Vec<(String, String)>);

impl Named {
    /// Refuses a parameter of another name, and one that is there twice.
    pub fn parse(pairs: Vec<(String, String)>, names: &[&str]) -> Result<Self, ApiError> {
        for (at, (name, _)) in pairs.iter().enumerate() {
            let wrong = match names.contains(&name.as_str()) {
                false => format!("there is no parameter '{name}' here"),
                true if pairs[..at].iter().any(|(before, _)| before == name) => {
                    format!("{name} is there more than once")
                }
                true => continue,
            };
            return Err(ApiError::new(Code::BadRequest, wrong, "see docs/API.md"));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    pub fn needed(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            ApiError::new(Code::BadRequest, format!("the parameter {name} is missing"), "see docs/API.md")
        })
    }
}

/// The header that says why something is changed. A web page cannot send it unasked, so that none a browser happens to
/// show can change anything here.
pub(super) const REASON: &str = "pgtape-reason";

/// Why something is to be changed, percent-encoded where it is not ASCII; refused without.
pub(super) fn reason(headers: &HeaderMap) -> Result<String, ApiError> {
    let said = headers.get(REASON).and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
    if said.is_empty() {
        let hint = "say why in the header Pgtape-Reason";
        return Err(ApiError::new(Code::BadRequest, "this changes something, and no reason is given", hint));
    }
    Ok(percent_encoding::percent_decode_str(said).decode_utf8_lossy().into_owned())
}

/// `eq.id` and `id` are one column, `eq.limit` and `limit` are not.
fn canonical(name: &str) -> &str {
    name.strip_prefix(COLUMN_PREFIX).filter(|column| !RESERVED.contains(column)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lsn;

    fn parse(query: &[(&str, &str)]) -> Result<Params, ApiError> {
        Params::parse(query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn reserved_names_are_ours_and_the_rest_are_columns() {
        let params =
            parse(&[("min_lsn", "0/A"), ("wait_ms", "7"), ("limit", "2"), ("id", "1"), ("eq.limit", "3")]).unwrap();
        assert_eq!(params.min_position, Some(Position::whole(Lsn(10))));
        assert_eq!((params.wait, params.limit), (Duration::from_millis(7), Some(2)));
        assert_eq!(params.columns, [("id".to_owned(), "1".to_owned()), ("limit".to_owned(), "3".to_owned())]);
        assert!(params.without_columns().is_err());
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for (name, value) in [
            ("min_lsn", "7"),
            ("wait_ms", "-1"),
            ("wait_ms", "60001"),
            ("wait_ms", "999999999"),
            ("limit", "0"),
            ("limit", "1000001"),
            ("limit", "many"),
            ("level", "3"),
        ] {
            let error = parse(&[(name, value)]).unwrap_err();
            assert_eq!(error.code, Code::BadRequest, "{name}={value}");
            assert!(error.message.contains(value));
        }
        for twice in [["limit", "limit"], ["id", "id"], ["id", "eq.id"], ["eq.limit", "eq.limit"]] {
            let error = parse(&twice.map(|name| (name, "1"))).unwrap_err();
            assert!(error.code == Code::BadRequest && error.message.contains("more than once"), "{twice:?}: {error:?}");
        }
        assert!(parse(&[("limit", "1"), ("eq.limit", "1")]).is_ok());
        assert_eq!(parse(&[("wait_ms", "60000")]).unwrap().wait, WAIT_MAX);
    }
}
