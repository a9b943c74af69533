//! The metric families that aether's dashboards read. Names and labels are theirs.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use super::EVENTS;
use crate::engines::metrics::{Observer, Outcome};

/// Upper bounds of the latency histogram, ms.
const LATENCY_BUCKETS_MS: [f64; 14] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0];

/// `aether_ledger_*`. The `op` label is `arb`, `bundle`, `inclusion` or `pool`.
#[derive(Debug)]
pub struct Metrics {
    writes: IntCounterVec,
    queue_depth: IntGauge,
    latency: HistogramVec,
}

impl Metrics {
    /// Makes the families in `registry`.
    ///
    /// # Errors
    /// They are there already.
    pub fn register(registry: &Registry) -> Result<Arc<Self>, prometheus::Error> {
        let writes = IntCounterVec::new(
            Opts::new("aether_ledger_writes_total", "Ledger writes by event and result."),
            &["op", "result"],
        )?;
        let drops = IntCounterVec::new(
            Opts::new("aether_ledger_drops_total", "Always 0: writes are synchronous, none is dropped."),
            &["op"],
        )?;
        let queue_depth = IntGauge::new("aether_ledger_queue_depth", "Writes asked for and not yet answered.")?;
        let latency = HistogramVec::new(
            HistogramOpts::new(
                "aether_ledger_write_latency_ms",
                "From asking for a write to its answer, retries included.",
            )
            .buckets(LATENCY_BUCKETS_MS.to_vec()),
            &["op"],
        )?;
        for event in EVENTS {
            let op = label(event.name);
            drops.with_label_values(&[op]);
            writes.with_label_values(&[op, Outcome::Applied.label()]);
            latency.with_label_values(&[op]);
        }
        registry.register(Box::new(writes.clone()))?;
        registry.register(Box::new(drops))?;
        registry.register(Box::new(queue_depth.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        Ok(Arc::new(Self { writes, queue_depth, latency }))
    }
}

impl Observer for Metrics {
    fn started(&self, _op: &'static str) {
        self.queue_depth.inc();
    }

    fn finished(&self, op: &'static str, outcome: Outcome, elapsed: Duration) {
        self.queue_depth.dec();
        self.writes.with_label_values(&[label(op), outcome.label()]).inc();
        self.latency.with_label_values(&[label(op)]).observe(elapsed.as_secs_f64() * 1_000.0);
    }

    fn abandoned(&self, _op: &'static str) {
        self.queue_depth.dec();
    }
}

/// `aether.arb` is `arb` on the dashboards.
fn label(op: &'static str) -> &'static str {
    op.split_once('.').map_or(op, |(_, event)| event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_there_from_the_start_and_drops_stay_zero() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.started("aether.arb");
        metrics.started("aether.bundle");
        metrics.started("aether.pool");
        metrics.abandoned("aether.pool");
        metrics.finished("aether.arb", Outcome::Applied, Duration::from_micros(80));
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            r#"aether_ledger_writes_total{op="arb",result="applied"} 1"#,
            r#"aether_ledger_writes_total{op="pool",result="applied"} 0"#,
            r#"aether_ledger_drops_total{op="inclusion"} 0"#,
            "aether_ledger_queue_depth 1",
            r#"aether_ledger_write_latency_ms_bucket{op="arb",le="0.1"} 1"#,
            r#"aether_ledger_write_latency_ms_count{op="bundle"} 0"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(Metrics::register(&registry).is_err());
    }
}
