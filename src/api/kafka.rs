//! `POST /v1/kafka/{sink}/..`: orders to a Kafka sink.

use std::pin::Pin;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde_json::Value;

use super::app::App;
use super::error::{ApiError, Code};
use super::params::{Named, reason};
use crate::model::{Position, TableName};
use crate::refusal::Refusal;
use crate::sinks::kafka::orders::{Obeyed, Order};

/// An order under way.
pub type OrderFuture = Pin<Box<dyn Future<Output = Result<Obeyed, Refusal>> + Send>>;

/// Has orders obeyed.
pub trait KafkaOrders: Send + Sync {
    /// Gives the sink an order.
    fn order(&self, sink: &str, order: Order) -> OrderFuture;
}

pub(super) async fn order(
    State(app): State<App>,
    Path((sink, verb)): Path<(String, String)>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let order = parse(&verb, pairs)?;
    let reason = reason(&headers)?;
    tracing::info!(sink, %order, reason, "an order to a Kafka sink");
    let obeyed = app.service.kafka.order(&sink, order).await?;
    Ok(Json(serde_json::to_value(obeyed).expect("positions and names are always JSON")))
}

fn parse(verb: &str, pairs: Vec<(String, String)>) -> Result<Order, ApiError> {
    let named = |names| Named::parse(pairs, names);
    Ok(match verb {
        "move" => {
            let to: Position = named(&["to"])?.needed("to")?.parse().map_err(|error| bad(&error))?;
            Order::Move { to: to.lsn }
        }
        "reset" => named(&[]).map(|_| Order::Reset)?,
        "forget" => Order::Forget { topic: named(&["topic"])?.needed("topic")?.to_owned() },
        "resume" => {
            let named = named(&["table", "skip"])?;
            let table = |name: &str| TableName::parse(name).ok_or_else(|| bad(&format!("'{name}' is not a table")));
            let skip = match named.get("skip") {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => return Err(bad(&format!("skip is true or false, not '{other}'"))),
            };
            Order::Resume { table: named.get("table").map(table).transpose()?, skip }
        }
        other => {
            let what = format!("'{other}' cannot be asked of a Kafka sink");
            return Err(ApiError::new(Code::NotFound, what, "there are move, reset, forget and resume"));
        }
    })
}

fn bad(what: &impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::BadRequest, what.to_string(), "see docs/API.md")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lsn;

    #[test]
    fn orders_are_read_whole_or_refused() {
        let check = |verb: &str, pairs: &[(&str, &str)], want: Option<Order>| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(parse(verb, pairs).ok(), want, "{verb}");
        };
        check("move", &[("to", "0/10")], Some(Order::Move { to: Lsn(16) }));
        check("move", &[], None);
        check("move", &[("to", "x")], None);
        check("move", &[("to", "0/10"), ("to", "0/11")], None);
        check("reset", &[], Some(Order::Reset));
        check("reset", &[("to", "0/10")], None);
        check("forget", &[("topic", "t")], Some(Order::Forget { topic: "t".into() }));
        check("resume", &[], Some(Order::Resume { table: None, skip: false }));
        let table = Some(TableName::new("a", "b"));
        check("resume", &[("table", "a.b"), ("skip", "true")], Some(Order::Resume { table, skip: true }));
        check("resume", &[("skip", "yes")], None);
        check("stop", &[], None);
    }
}
