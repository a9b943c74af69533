//! Seeded chance: every event rolls its own dice, so that an actor that starts again at event `n` rolls what it would have.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The dice of one event.
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// Of event `number` of the actor `name`, under `seed`.
    #[must_use]
    pub fn new(seed: u64, name: &str, number: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ xxhash_rust::xxh3::xxh3_64(name.as_bytes()));
        rng.set_stream(number);
        Self(rng)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    /// An index below `len`, which must not be 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.0.random_range(0..len)
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    /// True `percent` times of 100.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.0.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_rolls_the_same_after_a_restart_and_unlike_its_neighbours() {
        let roll = |seed, name: &str, number| Dice::new(seed, name, number).bytes::<8>();
        assert_eq!(roll(1, "perplex", 5), roll(1, "perplex", 5));
        assert_ne!(roll(1, "perplex", 5), roll(1, "perplex", 6));
        assert_ne!(roll(1, "perplex", 5), roll(2, "perplex", 5));
        assert_ne!(roll(1, "perplex", 5), roll(1, "worker", 5));
    }
}
