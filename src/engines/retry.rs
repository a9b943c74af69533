//! How long to wait before an attempt is repeated. Pure: time and randomness come in as arguments.
//!
//! Which errors are worth repeating is `pg`'s knowledge ([`crate::pg::Error::is_retryable`]): lost connections, a server
//! that starts or stops, serialization failures, deadlocks.

use std::time::Duration;

/// When to repeat and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The pause after the first failure, before jitter.
    pub first_pause: Duration,
    /// Pauses double up to this.
    pub longest_pause: Duration,
    /// No attempt starts later than this after the first one.
    pub give_up_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_secs(1),
            give_up_after: Duration::from_secs(30),
        }
    }
}

/// The pauses of one call.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: Policy,
    next: Duration,
    dice: u64,
}

impl Backoff {
    /// `seed` spreads callers that failed at the same moment.
    #[must_use]
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self { policy, next: policy.first_pause, dice: seed }
    }

    /// The pause before the next attempt, between half and all of the doubled pause; `None` when it is time to give up.
    pub fn pause(&mut self, elapsed: Duration) -> Option<Duration> {
        let half = self.next / 2;
        let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        let pause = half + Duration::from_micros(self.roll() % span);
        self.next = (self.next * 2).min(self.policy.longest_pause);
        (elapsed + pause <= self.policy.give_up_after).then_some(pause)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): plenty for jitter.
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_and_end() {
        let policy = Policy::default();
        let mut backoff = Backoff::new(policy, 7);
        let mut full = policy.first_pause;
        for _ in 0..20 {
            let pause = backoff.pause(Duration::ZERO).unwrap();
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
            full = (full * 2).min(policy.longest_pause);
        }
        assert_eq!(backoff.pause(policy.give_up_after), None);
        let other = Backoff::new(policy, 8).pause(Duration::ZERO);
        assert_ne!(Backoff::new(policy, 7).pause(Duration::ZERO), other);
    }
}
