//! The producer: one transaction at a time, or none at all where brokers have none.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings::rd_kafka_flush;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::util::Timeout;

use super::Failure;
use super::properties::{self, Heard};
use crate::sinks::kafka::feed::Produce;
use crate::sinks::kafka::settings::{Bounds, Delivery, Link};

/// The header that says which change a record was made of.
pub const POSITION: &str = "pgtape.position";
/// The header that numbers the records of one change.
pub const PART: &str = "pgtape.part";

/// How long the coordinator is waited for at the start.
const INIT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long is waited before a full queue is tried again.
const QUANTUM: Duration = Duration::from_micros(300);
/// How often a flush asks whether to go on, milliseconds.
const FLUSH_STEP_MS: i32 = 50;

impl ProducerContext for Heard {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (error, message) = match result {
            Ok(message) => return self.delivered(message),
            Err((error, message)) => (error, message),
        };
        // What is thrown away with the producer was never delivered, and nobody waits for it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PurgeQueue) {
            let failure = Failure::of(&format!("produce to {}", message.topic()), error, None);
            self.not_delivered(match (failure, error.rdkafka_error_code()) {
                (Failure::Doubt(what), Some(RDKafkaErrorCode::MessageSizeTooLarge)) => {
                    Failure::TooLarge { topic: message.topic().to_owned(), what }
                }
                (failure, _) => failure,
            });
        }
    }
}

impl Heard {
    /// librdkafka takes a batch for delivered, without an offset, when a later one of its partition was acknowledged. But a
    /// broker that knows nothing of the producer yet takes any batch as the first: if it had refused the one before, as it
    /// does while it still makes the partition, those records are not there.
    fn delivered(&self, message: &BorrowedMessage<'_>) {
        if message.offset() < 0 {
            let topic = message.topic();
            self.not_delivered(Failure::Doubt(format!(
                "produce to {topic}: a batch was not acknowledged, a later one was"
            )));
        }
    }
}

/// How large things may be, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// A record.
    pub record_max: usize,
    /// A batch of records; a record alone may be larger.
    pub batch_max: usize,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Queued,
    /// The queue is full: wait, and send it again.
    Full,
}

/// A producer of the sink, with the transactional id to itself.
pub struct Producer {
    inner: ThreadedProducer<Heard>,
    heard: Heard,
    transactional: bool,
}

impl Producer {
    /// What librdkafka does not like about the properties, if anything.
    pub fn check(link: &Link, id: &str, delivery: Delivery, bounds: &Bounds, sizes: Sizes) -> Option<String> {
        let config: ClientConfig = properties::producer(link, id, delivery, bounds, sizes);
        match config.create_native_config() {
            Ok(_) => None,
            // Not the value: it may be a secret.
            Err(KafkaError::ClientConfig(_, what, name, _)) if what.contains(&name) => Some(what),
            Err(KafkaError::ClientConfig(_, what, name, _)) => Some(format!("{name}: {what}")),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Connects, and fences whoever had the transactional id.
    pub fn start(link: &Link, id: &str, delivery: Delivery, bounds: &Bounds, sizes: Sizes) -> Result<Self, Failure> {
        let config: ClientConfig = properties::producer(link, id, delivery, bounds, sizes);
        let heard = Heard::default();
        let made: Result<ThreadedProducer<Heard>, KafkaError> = config.create_with_context(heard.clone());
        let inner = made.map_err(|error| Failure::of("make a producer", &error, None))?;
        let producer = Self { inner, heard, transactional: delivery == Delivery::ExactlyOnce };
        if producer.transactional {
            let done = producer.inner.init_transactions(INIT_TIMEOUT);
            done.map_err(|error| producer.failure("take the transactional id", &error))?;
        }
        Ok(producer)
    }

    /// Opens a transaction.
    pub fn begin(&self) -> Result<(), Failure> {
        if !self.transactional {
            return Ok(());
        }
        self.inner.begin_transaction().map_err(|error| self.failure("begin a transaction", &error))
    }

    /// Queues a record.
    pub fn send(&self, record: &Produce<'_>) -> Result<Sent, Failure> {
        let mut out = BaseRecord::<[u8], [u8]>::to(record.topic).headers(headers(record));
        if let Some(key) = record.key {
            out = out.key(key);
        }
        if let Some(value) = record.value {
            out = out.payload(value);
        }
        self.queue(out)
    }

    /// Queues a record without a place: one of the progress topic.
    pub fn send_plain(&self, topic: &str, key: &[u8], value: Option<&[u8]>) -> Result<Sent, Failure> {
        let out = BaseRecord::<[u8], [u8]>::to(topic).partition(0).key(key);
        self.queue(match value {
            Some(value) => out.payload(value),
            None => out,
        })
    }

    fn queue(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<Sent, Failure> {
        match self.inner.send(record) {
            Ok(()) => Ok(Sent::Queued),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                if let Some(failure) = self.heard.undelivered() {
                    return Err(failure);
                }
                std::thread::sleep(QUANTUM);
                Ok(Sent::Full)
            }
            Err((error @ KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                Err(Failure::Unfit(error.to_string()))
            }
            Err((error, _)) => Err(self.failure("produce", &error)),
        }
    }

    /// Waits until everything is delivered; `go_on` is asked now and then whether to wait.
    pub fn flush(&self, go_on: impl Fn() -> bool) -> Result<(), Failure> {
        loop {
            let flushed = self.flush_step();
            // Once nothing is left, every report of a delivery has been heard.
            if let Some(failure) = self.heard.undelivered() {
                return Err(failure);
            }
            match flushed {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(()),
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__TIMED_OUT if go_on() => {}
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__TIMED_OUT => {
                    return Err(Failure::Doubt("stopped while records were on their way".into()));
                }
                error => return Err(self.failure("deliver what is queued", &KafkaError::Flush(error.into()))),
            }
        }
    }

    /// Waits a step. The wrapper's own `flush` asks librdkafka to wait for no time at all, again and again: batches would
    /// linger, for they are sent at once only as long as a flush waits.
    #[allow(unsafe_code)]
    fn flush_step(&self) -> RDKafkaRespErr {
        // SAFETY: the pointer is that of a living producer, which `self` keeps; the call may be made from any thread.
        unsafe { rd_kafka_flush(self.inner.client().native_ptr(), FLUSH_STEP_MS) }
    }

    /// Commits the transaction: everything sent since `begin`, or nothing. What was queued must have been flushed.
    pub fn commit(&self) -> Result<(), Failure> {
        if !self.transactional {
            return Ok(());
        }
        self.inner.commit_transaction(Timeout::Never).map_err(|error| self.failure("commit a transaction", &error))
    }

    fn failure(&self, doing: &str, error: &KafkaError) -> Failure {
        Failure::of(doing, error, self.heard.trouble())
    }
}

fn headers(record: &Produce<'_>) -> OwnedHeaders {
    let position = record.position.to_text();
    let mut part = itoa::Buffer::new();
    let mut headers = OwnedHeaders::new_with_capacity(2 + record.headers.len());
    for &(key, value) in record.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    headers
        .insert(Header { key: POSITION, value: Some(&position[..]) })
        .insert(Header { key: PART, value: Some(part.format(record.part)) })
}
