//! `make bench`: how fast a backlog gets from the slot onto the fsynced tape, beside `pg_recvlogical -f /dev/null` on the
//! same backlog in the same run; how much memory a large transaction takes; and the Kafka sink beside Java's producer tool.
//! Never run by `make test`.
//!
//! Writes target/bench/report.json and report.txt. Arguments choose cases by a part of their name. PGTAPE_BENCH_ROWS and
//! PGTAPE_BENCH_ROUNDS make it shorter or longer; PGTAPE_BENCH_KAFKA=container|HOST:PORT is another broker.

mod backlog;
mod drain;
#[cfg(feature = "kafka")]
mod kafka;
mod memory;
mod report;

use std::path::Path;

use report::{Case, Report};

/// What can go wrong; a bench has nobody to decide anything.
type Error = Box<dyn std::error::Error>;

/// Rows of a backlog.
const ROWS: u32 = 500_000;
/// Rounds; each measures everybody once.
const ROUNDS: u32 = 5;

/// What to measure.
struct Plan {
    rows: u32,
    rounds: u32,
    /// Parts of the names of the cases wanted; all when empty.
    wanted: Vec<String>,
}

impl Plan {
    fn from_process() -> Self {
        let number = |name, otherwise| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise);
        // cargo passes --bench.
        let wanted = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
        Self { rows: number("PGTAPE_BENCH_ROWS", ROWS), rounds: number("PGTAPE_BENCH_ROUNDS", ROUNDS), wanted }
    }

    fn wants(&self, case: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|part| case.contains(part.as_str()))
    }
}

fn main() -> Result<(), Error> {
    let plan = Plan::from_process();
    let mut cases: Vec<Case> = Vec::new();
    for rows_per_transaction in [1, 1000] {
        if plan.wants(&format!("drain-{rows_per_transaction}")) {
            cases.extend(drain::measure(rows_per_transaction, &plan)?);
        }
    }
    if plan.wants("memory-tape") {
        cases.push(memory::tape()?);
    }
    if plan.wants("memory-standby") {
        cases.push(memory::standby()?);
    }
    #[cfg(feature = "kafka")]
    if plan.wants("kafka-catch-up") || plan.wants("kafka-cpu") || plan.wants("kafka-latency") {
        cases.extend(kafka::measure(&plan)?);
    }
    let report = Report { cases };
    println!("\n{report}");
    report.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench"))
}
