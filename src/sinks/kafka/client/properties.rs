//! The properties that librdkafka is given.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{Failure, Sizes};
use crate::sinks::kafka::settings::{Bounds, Delivery, Link};

/// Records in the producer's queue take at most this, bytes, or twice the largest record: when it is full the tape is not
/// read on, and what never fits would wait for ever.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// A batch that is not full waits so long for more, milliseconds; a commit waits for none. While records that are older
/// wait for a broker's answer, librdkafka looks for it without a pause: so this is longer than a full queue takes.
const LINGER_MS: u32 = 100;
/// Bytes of one batch, before compression.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What every client of the sink `id` is given.
pub(super) fn common(link: &Link, id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    lay(&mut config, link, id);
    config
}

/// Lays what the configuration says over what `config` holds. Not by way of `config_map`: that hides passwords.
fn lay(config: &mut ClientConfig, link: &Link, id: &str) {
    config.set("bootstrap.servers", &link.brokers).set("client.id", format!("pgtape.{id}"));
    for (name, value) in &link.properties {
        config.set(name, value);
    }
    config.set_log_level(RDKafkaLogLevel::Warning);
}

/// What the producer is given, where the configuration does not say otherwise.
pub(super) fn producer(link: &Link, id: &str, delivery: Delivery, bounds: &Bounds, sizes: Sizes) -> ClientConfig {
    let timeout = bounds.timeout.as_millis();
    let mut config = ClientConfig::new();
    config
        .set("linger.ms", LINGER_MS.to_string())
        .set("batch.size", BATCH_BYTES_MAX.min(sizes.batch_max).to_string())
        .set("batch.num.messages", "100000")
        .set("queue.buffering.max.messages", "1000000")
        .set("queue.buffering.max.kbytes", queue_kib(sizes.record_max).to_string())
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random");
    lay(&mut config, link, id);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // Each delivery is looked at: see `Heard::delivered`.
        .set("delivery.report.only.error", "false")
        .set("message.max.bytes", (sizes.record_max + (64 << 10)).to_string())
        // Below the transaction's: what cannot be delivered is known before the coordinator gives up.
        .set("message.timeout.ms", (timeout * 3 / 4).to_string());
    if delivery == Delivery::ExactlyOnce {
        config.set("transactional.id", id).set("transaction.timeout.ms", timeout.to_string());
    }
    config
}

fn queue_kib(record_bytes_max: usize) -> usize {
    (2 * record_bytes_max).max(QUEUE_BYTES_MAX).div_ceil(1 << 10)
}

/// What is heard from a client between calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// The last trouble with a connection.
    trouble: Arc<Mutex<Option<String>>>,
    /// The first record that could not be delivered.
    undelivered: Arc<Mutex<Option<Failure>>>,
}

impl Heard {
    /// The last trouble with a connection, once.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, trouble: &str) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble.to_owned());
    }

    /// The first record that could not be delivered.
    pub(super) fn undelivered(&self) -> Option<Failure> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn not_delivered(&self, failure: Failure) {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }
}

impl rdkafka::consumer::ConsumerContext for Heard {}

impl ClientContext for Heard {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug => tracing::trace!(facility, message, "librdkafka"),
            RDKafkaLogLevel::Error if facility == "FAIL" => {
                tracing::debug!(facility, message, "librdkafka");
                self.note(message.split_once("]: ").map_or(message, |(_thread, what)| what));
            }
            _ => tracing::debug!(facility, message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        // That all are down follows at once, and says less than why.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.note(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_takes_the_largest_record() {
        for (record_bytes_max, kib) in [(1 << 10, 16 << 10), (8 << 20, 16 << 10), (512 << 20, 1 << 20)] {
            assert_eq!(queue_kib(record_bytes_max), kib);
        }
    }
}
