//! Events of an outbox: looked at, tried again, deleted when they are delivered.

mod list;
mod purge;
mod retry;

use std::sync::Arc;

use crate::config::{Config, KafkaOutbox};
use crate::pg::{self, Address, Purpose, Session};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::outbox::{StatusHandle, Types};

pub use list::{Listing, Query, Row, Wanted, list};
pub use purge::Purge;
pub use retry::Retry;

/// Rows of one transaction, so that writers never wait long.
const BATCH_ROWS: i64 = 1_000;

/// The outbox of one sink.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// The sink.
    pub sink: String,
    /// The table.
    pub settings: KafkaOutbox,
    /// Who may read and mark.
    pub address: Address,
    /// Who may delete: the service's own address, if there is one.
    pub owner: Address,
    /// What the running service knows.
    pub status: Option<StatusHandle>,
}

/// The outboxes of a configuration.
#[derive(Debug, Clone)]
pub struct Outboxes {
    /// Names the operator log.
    pub config: Arc<Config>,
    /// By sink.
    pub all: Vec<Outbox>,
}

impl Outboxes {
    /// Those that are configured; `status` says what the running service knows of a sink.
    #[must_use]
    pub fn of(config: &Arc<Config>, status: impl Fn(&str) -> Option<StatusHandle>) -> Self {
        let outbox = |sink: &crate::config::kafka::Kafka| {
            let settings = sink.outbox.clone()?;
            let address = settings.address.clone().or_else(|| config.postgres.clone())?;
            let owner = config.postgres.clone().unwrap_or_else(|| address.clone());
            Some(Outbox { sink: sink.name.clone(), status: status(&sink.name), settings, address, owner })
        };
        Self { all: config.kafka.iter().filter_map(outbox).collect(), config: Arc::clone(config) }
    }

    /// The one of `sink`, or the only one.
    pub fn find(&self, sink: Option<&str>) -> Result<&Outbox, Refusal> {
        let refuse = |what: String, hint: &str| Err(Refusal::new(Kind::Usage, what, hint));
        let names: Vec<&str> = self.all.iter().map(|outbox| outbox.sink.as_str()).collect();
        match (sink, self.all.as_slice()) {
            (_, []) => refuse("no outbox is configured".into(), "add [kafka.outbox] to a sink; see docs/OUTBOX.md"),
            (None, [only]) => Ok(only),
            (None, _) => refuse("there are several outboxes".into(), &format!("name the sink: {}", names.join(", "))),
            (Some(sink), all) => match all.iter().find(|outbox| outbox.sink == sink) {
                Some(outbox) => Ok(outbox),
                None => refuse(format!("the sink {sink} relays no outbox"), &format!("there is {}", names.join(", "))),
            },
        }
    }
}

impl Outbox {
    /// A session of who may read and mark, and the types of the table's columns.
    async fn session(&self, address: &Address) -> Result<(Session, Types), Refusal> {
        let open = async {
            let session = pg::connect(address, Purpose::Outbox).await?;
            let types = Types::of(&session, &self.settings).await?;
            Ok((session, types))
        };
        open.await.map_err(|error: pg::Error| error.into_refusal("look at the outbox"))
    }

    /// The error of a statement on the table; a missing right is what is missing most often.
    fn refusal(&self, error: pg::Error, doing: &str) -> Refusal {
        let denied = error.is(&pg::SqlState::INSUFFICIENT_PRIVILEGE);
        // Only ids are given to be read as another type.
        if [pg::SqlState::INVALID_TEXT_REPRESENTATION, pg::SqlState::NUMERIC_VALUE_OUT_OF_RANGE]
            .iter()
            .any(|code| error.is(code))
        {
            let (id, table) = (&self.settings.columns.id, &self.settings.table);
            let what = format!("{doing}: an id that is named is not of the type of {table}'s column {id}");
            return Refusal::new(Kind::Usage, what, "pgtape outbox list shows ids");
        }
        let mut refusal = error.into_refusal(doing);
        if denied {
            refusal.hint = format!("docs/OUTBOX.md says what to grant on {}", self.settings.table);
        }
        refusal
    }
}
