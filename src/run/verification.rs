//! `POST /v1/verify` as the service offers it: one at a time.

use std::sync::Arc;

use crate::api::{VerifyFuture, VerifyHandle};
use crate::metrics::Metrics;
use crate::refusal::{Kind, Refusal};
use crate::verify::Verifier;

struct Handle {
    verifier: Option<Verifier>,
    metrics: Metrics,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What the API calls.
pub(super) fn handle(verifier: Option<Verifier>, metrics: Metrics) -> Arc<dyn VerifyHandle> {
    Arc::new(Handle { verifier, metrics, turn: Arc::default() })
}

/// There is nothing to compare.
pub(super) fn no_standby() -> Refusal {
    Refusal::new(Kind::Usage, "there is no standby to compare", "run with --sinks standby,rollup")
}

impl VerifyHandle for Handle {
    fn verify(&self) -> VerifyFuture {
        let (verifier, metrics, turn) = (self.verifier.clone(), self.metrics.clone(), Arc::clone(&self.turn));
        Box::pin(async move {
            let verifier = verifier.ok_or_else(no_standby)?;
            let Ok(_turn) = turn.try_lock() else {
                return Err(Refusal::new(Kind::Locked, "a verification is under way", "try again when it has ended"));
            };
            let report = verifier.run().await?;
            metrics.verified(report.ok, jiff::Timestamp::now());
            tracing::info!(ok = report.ok, lsn = %report.lsn, "verified");
            Ok(serde_json::to_value(report).expect("a report is always JSON"))
        })
    }
}
