//! The one HTTP question tests, demo and benches ask: GET, with the answer whatever its status.

use std::time::Duration;

use super::Error;

/// A service that takes longer than this to answer is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most an answer may weigh.
const BODY_BYTES_MAX: u64 = 1 << 30;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header `Pgtape-Position`, empty when there is none.
    pub position: String,
    /// The body.
    pub body: String,
}

impl Reply {
    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Asks for `url`. An error status is an answer, not an error.
///
/// # Errors
/// Nobody answered.
pub fn get(url: &str) -> Result<Reply, Error> {
    let failed = |e: ureq::Error| Error::io(format!("GET {url}"))(std::io::Error::other(e));
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT));
    let agent: ureq::Agent = config.build().into();
    let mut answer = agent.get(url).call().map_err(failed)?;
    let position = answer.headers().get("pgtape-position").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let body = answer.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string().map_err(failed)?;
    Ok(Reply { status: answer.status().as_u16(), position, body })
}
