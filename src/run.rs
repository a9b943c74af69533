//! Not written yet.

use crate::config::Config;
use crate::refusal::{Kind, Refusal};

/// Runs the service until it is told to stop.
pub async fn run(_config: Config) -> Result<(), Refusal> {
    Err(Refusal::new(Kind::Usage, "not written yet", ""))
}
