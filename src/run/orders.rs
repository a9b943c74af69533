//! Orders to Kafka sinks, as the service takes them over HTTP.

use std::sync::Arc;

use super::kafka::Handle;
use crate::api::{KafkaOrders, OrderFuture};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::orders::Order;

struct Orders(Vec<Handle>);

/// What the API calls.
pub(super) fn handle(sinks: Vec<Handle>) -> Arc<dyn KafkaOrders> {
    Arc::new(Orders(sinks))
}

impl KafkaOrders for Orders {
    fn order(&self, sink: &str, order: Order) -> OrderFuture {
        let found = self.0.iter().find(|handle| handle.name() == sink).cloned();
        let names: Vec<String> = self.0.iter().map(|handle| handle.name().to_owned()).collect();
        let name = sink.to_owned();
        Box::pin(async move {
            let Some(handle) = found else {
                let hint = match names.is_empty() {
                    true => "no Kafka sink is configured".to_owned(),
                    false => format!("there are {}", names.join(", ")),
                };
                return Err(Refusal::new(Kind::Usage, format!("'{name}' is not a Kafka sink"), hint));
            };
            handle.order(order).await
        })
    }
}
