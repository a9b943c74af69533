//! The tables of the Kafka sinks, held against the catalog before anything is streamed.

use std::collections::HashMap;

use super::settings;
use crate::config::{Config, KafkaOutbox, SinkName};
use crate::model::{Identity, TableName};
use crate::ops::doctor::Check;
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::changes;
use crate::sinks::kafka::relay;
use crate::sinks::kafka::settings::{FeedSettings, Settings};
use crate::sinks::kafka::topic;
use crate::source::{
    self,
    tables::{CatalogTable, read_catalog},
};

/// Refuses, before anything is streamed, sinks whose topics could not be right: of tables that do not send whole old rows
/// to who needs them, and of tables that would share a topic.
pub(in super::super) async fn refuse_tables(config: &Config, version: &str) -> Result<(), Refusal> {
    let Looked { refusals, idle } = look(config, version).await?;
    for (what, fix) in idle {
        tracing::warn!(fix, "{what}");
    }
    refusals.into_iter().next().map_or(Ok(()), Err)
}

/// The same, for the doctor.
pub(super) async fn checks(config: &Config, version: &str) -> Result<Vec<Check>, Refusal> {
    let Looked { refusals, idle } = look(config, version).await?;
    let refusals = refusals.into_iter().map(|refusal| Check::finding("kafka_tables", refusal.what, refusal.hint));
    Ok(refusals.chain(idle.into_iter().map(|(what, fix)| Check::advice("kafka_tables", what, fix))).collect())
}

/// What the catalog says of the sinks.
#[derive(Default)]
struct Looked {
    refusals: Vec<Refusal>,
    /// Sinks that have nothing to produce, and what to do.
    idle: Vec<(String, &'static str)>,
}

async fn look(config: &Config, version: &str) -> Result<Looked, Refusal> {
    if config.kafka.is_empty() || !config.has_sink(SinkName::Kafka) {
        return Ok(Looked::default());
    }
    let doing = "look at the tables of the Kafka sinks";
    let session = pg::connect(config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal(doing))?;
    let catalog = read_catalog(&session).await.map_err(source::Error::into_refusal)?;
    let captured: Vec<&CatalogTable> =
        catalog.iter().filter(|table| table.root.is_none() && config.captures(&table.name)).collect();
    let (mut refusals, mut idle, mut owners) = (Vec::new(), Vec::new(), HashMap::new());
    for sink in &config.kafka {
        if let Some(outbox) = &sink.outbox {
            refusals.extend(unknown_column(&session, outbox).await?);
        }
        let settings = settings(config, sink, version)?;
        refusals.extend(relay::refuse_properties(&settings).err());
        let FeedSettings::Changes(changes) = &settings.feed else { continue };
        if !captured.iter().any(|table| changes.includes(&table.name)) {
            let what = format!("no captured table is one of the Kafka sink {}", settings.name);
            idle.push((
                what,
                "compare its tables and exclude with source.tables; pgtape doctor lists what is captured",
            ));
        }
        refusals.extend(idle_masks(&settings, changes, &captured));
        refusals.extend(partial_rows(&settings, changes, &captured));
        refusals.extend(shared_topics(&settings, changes, &captured));
        for table in captured.iter().filter(|table| changes.includes(&table.name)) {
            let topic = (sink.brokers.clone(), changes.topic_of(&table.name));
            if config.kafka.iter().any(|other| other.progress_topic == topic.1) {
                let what = format!(
                    "the Kafka sink {} would produce {} to the progress topic {}",
                    settings.name, table.name, topic.1
                );
                refusals.push(Refusal::new(Kind::Usage, what, "give the table another topic"));
            }
            let owner: &String = owners.entry(topic.clone()).or_insert_with(|| settings.name.clone());
            if *owner != settings.name {
                let what = format!("the Kafka sinks {owner} and {} would both produce to {}", settings.name, topic.1);
                let hint = "give one of them another topic_prefix or topic, or exclude the table there";
                refusals.push(Refusal::new(Kind::Usage, what, hint));
            }
        }
    }
    Ok(Looked { refusals, idle })
}

/// An outbox must have the columns that are named; one that is not there yet is looked at when it comes.
async fn unknown_column(session: &Session, outbox: &KafkaOutbox) -> Result<Option<Refusal>, Refusal> {
    let columns =
        "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let rows = session.query(columns, &[&pg::table(&outbox.table)]).await;
    let rows = rows.map_err(|e| pg::Error::from(e).into_refusal("look at the columns of the outbox"))?;
    let there: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let missing = outbox.columns.named().find(|name| !there.is_empty() && !there.iter().any(|there| there == name));
    Ok(missing.map(|name| {
        let what = format!("the outbox {} has no column {name}", outbox.table);
        Refusal::new(Kind::Server, what, "name its columns in [kafka.outbox.columns]")
    }))
}

/// Masks that no table gets would leave in clear what somebody wanted hidden.
fn idle_masks(settings: &Settings, changes: &changes::Settings, captured: &[&CatalogTable]) -> Option<Refusal> {
    let is_idle = |special: &&changes::Special| {
        !special.masks.is_empty() && !captured.iter().any(|table| special.tables.matches(&table.name))
    };
    let idle = changes.special.iter().find(is_idle)?;
    let what =
        format!("no captured table is {}, whose columns the Kafka sink {} is to mask", idle.tables, settings.name);
    Some(Refusal::new(Kind::Usage, what, "mend its name in [[kafka.table]], or leave the masks out until it is there"))
}

/// Who reads whole old rows must get them.
fn partial_rows(settings: &Settings, changes: &changes::Settings, captured: &[&CatalogTable]) -> Option<Refusal> {
    let partial = |table: &&&CatalogTable| table.identity != Identity::Full && changes.includes(&table.name);
    let partial: Vec<_> = captured.iter().filter(partial).filter(|_| changes.whole_rows).collect();
    let first = partial.first()?;
    let what = format!(
        "who reads the topics of the Kafka sink {} needs whole old rows, which {} ({} in all) does not send",
        settings.name,
        first.name,
        partial.len()
    );
    let alter = |table: &&&CatalogTable| format!("ALTER TABLE {} REPLICA IDENTITY FULL;", pg::table(&table.name));
    let hint = format!("run as their owner: {}", partial.iter().map(alter).collect::<Vec<_>>().join(" "));
    Some(Refusal::new(Kind::Server, what, hint))
}

/// Tables whose names differ only in characters that topics cannot have would share a topic, and their keys would mix. Who
/// wants that says so with a template that does not name the table.
fn shared_topics(settings: &Settings, changes: &changes::Settings, captured: &[&CatalogTable]) -> Option<Refusal> {
    let produced = |table: &&&CatalogTable| changes.includes(&table.name) && changes.names_table(&table.name);
    let tables: Vec<&TableName> = captured.iter().filter(produced).map(|table| &table.name).collect();
    let shared = topic::collisions(|table| changes.topic_of(table), tables);
    let first = shared.first()?;
    let names: Vec<String> = first.tables.iter().map(ToString::to_string).collect();
    let what =
        format!("{} would share the topic {} of the Kafka sink {}", names.join(" and "), first.topic, settings.name);
    let hint = "give one of them a topic of its own with [[kafka.table]], or leave it out with exclude";
    Some(Refusal::new(Kind::Usage, what, hint))
}
