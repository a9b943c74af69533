//! `pgtape outbox`: events of an outbox that wait, are dead, or are delivered.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::Context;
use super::client;
use super::consent::{Consent, Terminal};
use crate::config::Span;
use crate::ops::outbox::{Outboxes, Purge, Query, Retry, Wanted, list};
use crate::ops::{self, Outcome};
use crate::refusal::Refusal;

/// The running service answers within this.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Say which events wait, are dead, or are not delivered
    List {
        /// parked (asks the running service), dead or undelivered
        #[arg(long, default_value = "undelivered")]
        state: Wanted,
        /// Only of this aggregate
        #[arg(long, value_name = "TYPE/ID", value_parser = aggregate)]
        aggregate: Option<(String, String)>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        sink: Sink,
    },
    /// Have events produced again
    Retry {
        /// An event, by its id; may be repeated
        #[arg(long = "id", value_name = "ID", required_unless_present = "dead")]
        ids: Vec<String>,
        /// All dead ones
        #[arg(long, conflicts_with = "ids")]
        dead: bool,
        #[command(flatten)]
        sink: Sink,
        #[command(flatten)]
        consent: Consent,
    },
    /// Delete events that were delivered long ago
    Purge {
        /// How long ago, as in "7 d"
        #[arg(long, value_name = "AGE")]
        older_than: Span,
        #[command(flatten)]
        sink: Sink,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(clap::Args)]
pub(super) struct Sink {
    /// The Kafka sink, where several relay outboxes
    #[arg(long = "sink", value_name = "NAME")]
    name: Option<String>,
}

/// `type/id`, at the first slash.
fn aggregate(text: &str) -> Result<(String, String), String> {
    let (kind, id) = text.split_once('/').ok_or("write it as type/id")?;
    Ok((kind.to_owned(), id.to_owned()))
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<(), Refusal> {
    let config = Arc::new(context.config.clone());
    let outboxes = Outboxes::of(&config, |_| None);
    match verb {
        Verb::List { state: Wanted::Parked, aggregate, limit, sink } => {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let mut path = format!("/v1/outbox?state=parked&limit={limit}");
            if let Some((kind, id)) = aggregate {
                path.push_str(&format!("&aggregate={}", encode(&format!("{kind}/{id}"))));
            }
            if let Some(sink) = sink.name {
                path.push_str(&format!("&sink={}", encode(&sink)));
            }
            let asked = super::blocking(move || client::get(&config, &path, ANSWERED_WITHIN)).await?;
            if asked.status != 200 {
                return Err(client::refusal(&asked));
            }
            context.out.result(&asked.body, || parked(&asked.body));
        }
        Verb::List { state, aggregate, limit, sink } => {
            let listing = list(outboxes.find(sink.name.as_deref())?, &Query { state, aggregate, limit }).await?;
            context.out.result(&listing, || listing.to_string());
        }
        Verb::Retry { ids, dead: _, sink, consent } => {
            let outbox = outboxes.find(sink.name.as_deref())?;
            let command = Retry { outbox, ids: &ids, retried: OnceLock::new() };
            let outcome = ops::perform(&command, &consent.terms(), &Terminal(context.out), &context.config).await?;
            tell(context, &outcome, "retried", command.retried.get().map(|n| *n as u64));
        }
        Verb::Purge { older_than, sink, consent } => {
            let outbox = outboxes.find(sink.name.as_deref())?;
            let command = Purge { outbox, older_than, purged: OnceLock::new() };
            let outcome = ops::perform(&command, &consent.terms(), &Terminal(context.out), &context.config).await?;
            tell(context, &outcome, "purged", command.purged.get().copied());
        }
    }
    Ok(())
}

/// The answer of the service, for people.
fn parked(answer: &serde_json::Value) -> String {
    let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let line = |row: &serde_json::Value| {
        let aggregate = format!("{}/{}", text(&row["aggregate_type"]), text(&row["aggregate_id"]));
        let (id, kind, at, why) = (&row["id"], &row["event_type"], &row["available_at"], &row["last_error"]);
        let (id, kind, at, why) = (text(id), text(kind), text(at), text(why));
        format!("{id} {aggregate} {kind} from {at}, attempts {}: {why}", row["attempts"])
    };
    if rows.is_empty() { "none".into() } else { rows.iter().map(line).collect::<Vec<_>>().join("\n") }
}

fn tell(context: &Context, outcome: &Outcome, what: &str, count: Option<u64>) {
    let object = json!({"done": outcome.done, what: count, "plan": outcome.plan, "logged_in": outcome.logged_in});
    context.out.result(&object, || match count.filter(|_| outcome.done) {
        Some(count) => format!("{what} {count}"),
        None => "nothing was changed (--dry-run)".to_owned(),
    });
}
