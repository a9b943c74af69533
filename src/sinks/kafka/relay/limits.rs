//! How large records and batches of a topic may be: as configured, until its broker refuses one.
//!
//! Invariant: each refusal makes the topic's bound smaller, so that a sink cannot be refused for ever.

use std::collections::HashMap;

/// What was learned since the service started.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    usual_bytes: usize,
    refused: HashMap<String, usize>,
}

impl Limits {
    /// Nothing was refused yet.
    pub(super) fn new(usual_bytes: usize) -> Self {
        Self { usual_bytes, refused: HashMap::new() }
    }

    /// The largest record of a topic, bytes.
    pub(super) fn of(&self, topic: &str) -> usize {
        self.refused.get(topic).copied().unwrap_or(self.usual_bytes)
    }

    /// The largest batch, bytes: a producer has one bound for all topics.
    pub(super) fn batch(&self) -> usize {
        self.refused.values().copied().min().unwrap_or(self.usual_bytes)
    }

    /// A broker refused a batch of the topic, whose `max.message.bytes` is `told`, if it may be asked for.
    pub(super) fn refused(&mut self, topic: &str, told: Option<usize>) -> usize {
        let now = self.of(topic);
        let next = told.filter(|told| *told < now).unwrap_or(now - now / 10);
        self.refused.insert(topic.to_owned(), next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn a_refusal_makes_the_bound_of_its_topic_smaller() {
        let mut limits = Limits::new(1000);
        assert_eq!((limits.of("a"), limits.batch()), (1000, 1000));
        assert_eq!(limits.refused("a", Some(200)), 200);
        assert_eq!((limits.of("a"), limits.of("b"), limits.batch()), (200, 1000, 200));
        assert_eq!(limits.refused("a", Some(200)), 180);
        assert_eq!(limits.refused("b", None), 900);
        assert_eq!(limits.refused("b", Some(5000)), 810);
    }
}
