//! What a failure of Kafka means for the sink.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A failure, as a decision for the caller. Holds no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Another producer has taken the transactional id, or the coordinator has ended our transaction.
    #[error("{0}")]
    Fenced(String),
    /// The outcome is open, or the brokers cannot be reached: drop the producer, begin again from the progress record.
    #[error("{0}")]
    Doubt(String),
    /// The broker took a batch of this topic for too large; `what` says so.
    #[error("{what}")]
    TooLarge {
        /// The topic.
        topic: String,
        /// What happened.
        what: String,
    },
    /// This record cannot be produced, others can.
    #[error("{0}")]
    Unfit(String),
}

impl Failure {
    /// `error` happened while `doing` something; `seen` is what the client last said of its connections.
    pub(super) fn of(doing: &str, error: &KafkaError, seen: Option<String>) -> Self {
        let code = error.rdkafka_error_code();
        let what = format!("{doing}: {}", describe(error, code));
        match code {
            Some(
                RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch,
            ) => Failure::Fenced(what),
            Some(
                RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure,
            ) => Failure::Doubt(seen.map_or(what.clone(), |seen| format!("{what} ({seen})"))),
            _ => Failure::Doubt(what),
        }
    }
}

fn describe(error: &KafkaError, code: Option<RDKafkaErrorCode>) -> String {
    let hint = match code {
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            "; grant Describe and Write on the transactional id"
        }
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => "; grant Describe, Write and Create on the topic",
        Some(RDKafkaErrorCode::ClusterAuthorizationFailed) => "; grant IdempotentWrite and Create on the cluster",
        Some(RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion) => {
            "; if the brokers have no transactions, set delivery = \"at-least-once\""
        }
        _ => "",
    };
    match error {
        KafkaError::Transaction(error) => format!("{error}{hint}"),
        _ => code.map_or_else(|| error.to_string(), |code| format!("{code}{hint}")),
    }
}
