//! How long a row waits after a failed attempt: twice as long each time, within bounds.

use std::time::Duration;

/// The wait after attempt number `attempts`, from 1, in microseconds.
#[must_use]
pub fn wait_us(first: Duration, max: Duration, attempts: u32) -> i64 {
    let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).and_then(|factor| first.checked_mul(factor));
    let wait = doubled.map_or(max, |wait| wait.min(max));
    i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound() {
        let check = |attempts, want_ms: i64| {
            let wait = wait_us(Duration::from_millis(100), Duration::from_secs(1), attempts);
            assert_eq!(wait, want_ms * 1000, "{attempts}");
        };
        for (attempts, want_ms) in [(0, 100), (1, 100), (2, 200), (4, 800), (5, 1000), (33, 1000), (u32::MAX, 1000)] {
            check(attempts, want_ms);
        }
    }
}
