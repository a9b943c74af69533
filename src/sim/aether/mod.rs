//! Simulated aether: two actors that do not know of each other's progress.
//!
//! Opportunity `n` is the engine's event `n` and the executor's event `n`, so both write about it at about the same
//! moment, on connections of their own, and either may be first. Which is which follows from seed and number alone.

mod engine;
mod executor;

use jiff::Timestamp;
use serde_json::Value;

use super::actor::{jsonb_text, timestamp_text};

pub use engine::Engine;
pub use executor::Executor;

/// The name of opportunity `number`.
fn opportunity(seed: u64, number: u64) -> String {
    format!("sim-{seed:x}-{number}")
}

/// The block that opportunity `number` aims at: a dozen of them share one.
fn target_block(number: u64) -> i64 {
    const FIRST_BLOCK: i64 = 19_000_000;
    const OPPORTUNITIES_PER_BLOCK: u64 = 12;
    FIRST_BLOCK + i64::try_from(number / OPPORTUNITIES_PER_BLOCK).expect("a simulation has fewer blocks")
}

/// Simulated time as the writers take it.
fn timestamp(time_us: i64) -> Timestamp {
    Timestamp::from_microsecond(time_us).expect("simulated time is within jiff's years")
}

/// A `bytea` as Postgres prints it.
fn bytea_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from(r"\x"), |text, byte| format!("{text}{byte:02x}"))
}

fn time(at: Timestamp) -> Option<String> {
    Some(timestamp_text(at.as_microsecond()))
}

fn json(value: &Value) -> Option<String> {
    Some(jsonb_text(value))
}

#[cfg(test)]
mod tests {
    use super::super::rehearsal::lives_on_after_restarts;
    use super::*;

    #[test]
    fn both_actors_go_on_from_their_rows_as_if_nothing_had_happened() {
        lives_on_after_restarts(|| Engine::new(7), 7);
        lives_on_after_restarts(|| Executor::new(7), 7);
    }
}
