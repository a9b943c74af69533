//! The Kafka sinks: built from the configuration, started, supervised together.

mod tables;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Part;
use super::ingest::{Aim, Ingest};
use super::status::now_us;
use crate::config::kafka as typed;
use crate::config::{Config, SinkName};
use crate::model::{Pattern, TableName};
use crate::ops::doctor::Check;
use crate::ops::{self, kafka::Stretch};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::changes::{self, Format, Mask, Secret, Special, Truncate, Unfitting};
use crate::sinks::kafka::json::{Compat, Decimals, Intervals, Modes, Times};
use crate::sinks::kafka::orders::{Obeyed, Order};
use crate::sinks::kafka::outbox;
use crate::sinks::kafka::registry;
pub use crate::sinks::kafka::relay::Handle;
use crate::sinks::kafka::relay::{self, Look, Past, Setup, Verdict};
use crate::sinks::kafka::settings::{Bounds, Delivery, FeedSettings, Initial, Link, NewTopics, Settings};
use crate::sinks::kafka::topic::{self, Template};
use crate::sinks::standby::StandbyReader;
use crate::sinks::{self, checkpoints};
use crate::tape::{self, Pins, TapeId, Watermark};
pub(super) use tables::refuse_tables;

/// The files of the Kafka sinks, in the data directory.
const DIRECTORY: &str = "kafka";

/// Starts the sinks that are configured and switched on.
pub(super) fn start(
    config: &Config,
    version: &str,
    aim: Aim,
    opened: &Ingest,
    standby: Option<&StandbyReader>,
    pins: &Pins,
    stop: &CancellationToken,
) -> Result<(Vec<Handle>, Part), Refusal> {
    let (mut handles, mut ends) = (Vec::new(), Vec::new());
    for sink in config.kafka.iter().filter(|_| config.has_sink(SinkName::Kafka)) {
        let mut settings = settings(config, sink, version)?;
        if let FeedSettings::Changes(changes) = &mut settings.feed
            && changes.truncate == Truncate::Deletes
            && config.has_sink(SinkName::Standby)
        {
            changes.rows_before = Some(Arc::new(Past {
                checkpoint_dir: checkpoints::dir(&config.data_dir),
                tape_dir: config.tape.dir.clone(),
                watermark: opened.tape.watermark.clone(),
                system_id: opened.tape.origin.system_id,
            }));
        }
        make_directory(&settings)?;
        if aim == Aim::OneTask {
            relay::pin_as_noted(&settings, pins).map_err(sinks::Error::into_refusal)?;
            continue;
        }
        if let Some(outbox) = settings.feed.outbox() {
            tokio::spawn(outbox.marker(config.address()?).run(stop.clone()));
        }
        let setup = Setup {
            settings: Arc::new(settings),
            tape_dir: config.tape.dir.clone(),
            tape_id: tape_id(config)?,
            watermark: opened.tape.watermark.clone(),
            identity: (&opened.tape.origin).into(),
            pins: pins.clone(),
            standby: standby.cloned(),
            only: None,
            clock: now_us,
            cancel: stop.clone(),
        };
        let (handle, end) = relay::start(setup).map_err(sinks::Error::into_refusal)?;
        handles.push(handle);
        ends.push(end);
    }
    let stop = stop.clone();
    Ok((handles, Part::spawn(stop_or_first_error(ends, stop))))
}

/// Until the stop, and then until all have ended; or until one ends with what the whole service must end for.
async fn stop_or_first_error(
    ends: Vec<tokio::sync::oneshot::Receiver<Result<(), sinks::Error>>>,
    stop: CancellationToken,
) -> Result<(), Refusal> {
    let mut ends: futures_util::stream::FuturesUnordered<_> = ends.into_iter().collect();
    while let Some(end) = futures_util::StreamExt::next(&mut ends).await {
        match end {
            Ok(result) => result.map_err(sinks::Error::into_refusal)?,
            Err(_) => {
                return Err(Refusal::new(Kind::Tape, "a Kafka sink ended in a panic", "look at the log; start again"));
            }
        }
    }
    stop.cancelled().await;
    Ok(())
}

fn make_directory(settings: &Settings) -> Result<(), Refusal> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&settings.state_dir);
    made.map_err(|error| {
        let what = format!("make {}: {error}", settings.state_dir.display());
        Refusal::new(Kind::Disk, what, "check disk and permissions")
    })
}

fn tape_id(config: &Config) -> Result<TapeId, Refusal> {
    Ok(tape::info(&config.tape.dir).map_err(tape::Error::into_refusal)?.tape_id)
}

/// What Kafka holds of every configured sink.
pub async fn show(config: &Config, version: &str) -> Result<Shown, Refusal> {
    let all: Vec<Settings> =
        config.kafka.iter().map(|sink| settings(config, sink, version)).collect::<Result<_, _>>()?;
    let sinks = blocking(move || all.iter().map(relay::look).collect::<Result<Vec<Look>, Refusal>>()).await?;
    Ok(Shown { sinks })
}

/// What Kafka holds of the sinks.
#[derive(Debug, serde::Serialize)]
pub struct Shown {
    /// One by one.
    pub sinks: Vec<Look>,
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for sink in &self.sinks {
            let position = sink.position.map_or_else(|| "no progress yet".to_owned(), |p| p.to_string());
            writeln!(f, "{:<16} {position}  {} records  {} in quarantine", sink.sink, sink.records, sink.quarantined)?;
            sink.topics.iter().try_for_each(|topic| writeln!(f, "  topic {topic}"))?;
            for stop in &sink.stopped {
                writeln!(f, "  stopped: {} after {}: {}", stop.table, stop.position, stop.reason)?;
            }
        }
        Ok(())
    }
}

/// What doctor finds out about the sinks that are switched on.
pub async fn probe(config: &Config, version: &str) -> Result<Vec<Check>, Refusal> {
    let on = config.kafka.iter().filter(|_| config.has_sink(SinkName::Kafka));
    let all: Vec<Settings> = on.map(|sink| settings(config, sink, version)).collect::<Result<_, _>>()?;
    let dir = config.tape.dir.clone();
    let probes = blocking(move || all.iter().flat_map(|sink| relay::probe(sink, &dir)).collect::<Vec<_>>()).await;
    let tables = tables::checks(config, version).await?;
    let check = |probe: relay::Probe| match probe.verdict {
        Verdict::Fine => Check::ok(probe.check, probe.message),
        Verdict::Better(fix) => Check::advice(probe.check, probe.message, fix),
        Verdict::Wrong(fix) => Check::finding(probe.check, probe.message, fix),
    };
    Ok(probes.into_iter().map(check).chain(tables).collect())
}

/// Has an order obeyed, while no service runs.
pub async fn obey(config: &Config, version: &str, name: &str, order: Order) -> Result<Obeyed, Refusal> {
    let settings = settings(config, ops::kafka::named(config, name)?, version)?;
    let dir = config.tape.dir.clone();
    blocking(move || relay::obey_alone(&settings, &dir, &order)).await
}

/// Produces a part of the tape once more, beside the sink itself.
pub async fn replay(config: &Config, version: &str, part: &Stretch) -> Result<u64, Refusal> {
    let Stretch { sink, from, to, suffix } = part.clone();
    let mut settings = settings(config, ops::kafka::named(config, &sink)?, version)?;
    settings.id = format!("{}.replay-{from}-{to}{suffix}", settings.id).replace('/', "-");
    match &mut settings.feed {
        FeedSettings::Changes(changes) => {
            changes.quarantine_topic += &suffix;
            changes.suffix = suffix;
        }
        FeedSettings::Outbox(_) => {
            let what = format!("the Kafka sink {sink} relays an outbox: its events are rows, not changes");
            return Err(Refusal::new(Kind::Usage, what, "have events produced again with: pgtape outbox retry"));
        }
    }
    let info = tape::info(&config.tape.dir).map_err(tape::Error::into_refusal)?;
    let setup = Setup {
        settings: Arc::new(settings),
        tape_dir: config.tape.dir.clone(),
        tape_id: info.tape_id,
        watermark: Watermark::scan(&config.tape.dir).map_err(tape::Error::into_refusal)?,
        identity: (&info.origin).into(),
        pins: Pins::new(),
        standby: None,
        only: Some(relay::Only { from, to }),
        clock: now_us,
        cancel: super::signals::stop_on_signal()?,
    };
    blocking(move || relay::replay(setup)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// What a sink is built with.
fn settings(config: &Config, from: &typed::Kafka, version: &str) -> Result<Settings, Refusal> {
    let feed = match &from.outbox {
        Some(outbox) => FeedSettings::Outbox(outbox::Setup::new(outbox.clone())),
        None => FeedSettings::Changes(Box::new(changes(config, from, version)?)),
    };
    Ok(Settings {
        name: from.name.clone(),
        id: format!("{}.{}", from.topic_prefix, from.name),
        link: Link {
            brokers: from.brokers.clone(),
            properties: from.properties.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect(),
        },
        delivery: if from.exactly_once { Delivery::ExactlyOnce } else { Delivery::AtLeastOnce },
        initial: match from.initial {
            typed::Initial::Copy => Initial::Copy,
            typed::Initial::Earliest => Initial::Earliest,
            typed::Initial::Now => Initial::Now,
        },
        progress_topic: from.progress_topic.clone(),
        bounds: Bounds {
            records_max: from.transaction_records,
            bytes_max: from.transaction_bytes,
            age_max: from.transaction_age,
            linger: from.linger,
            timeout: from.transaction_timeout,
        },
        message_bytes_max: from.message_bytes_max,
        create: from.topics.as_ref().map(|topics| NewTopics {
            partitions: topics.partitions,
            replication: topics.replication,
            configs: topics.configs.clone(),
        }),
        feed,
        state_dir: config.data_dir.join(DIRECTORY),
    })
}

fn changes(config: &Config, from: &typed::Kafka, version: &str) -> Result<changes::Settings, Refusal> {
    let form = from.form;
    let template = |text: &str| Template::parse(text).ok_or_else(|| not_a_template(text));
    let special = |table: &typed::Table| {
        let mask = |(column, drop): &(String, bool)| (column.clone(), if *drop { Mask::Drop } else { Mask::Hash });
        Ok(Special {
            tables: table.tables.clone(),
            topic: table.topic.as_deref().map(template).transpose()?,
            key: table.key.clone(),
            masks: table.masks.iter().map(mask).collect(),
        })
    };
    Ok(changes::Settings {
        prefix: from.topic_prefix.clone(),
        version: version.split_whitespace().next().unwrap_or_default().to_owned(),
        database: config.postgres.as_ref().map(|address| address.database().to_owned()).unwrap_or_default(),
        topic: template(&from.topic)?,
        suffix: String::new(),
        tables: from.tables.clone(),
        excluded: from.exclude.iter().cloned().chain(relayed(config, from)).collect(),
        special: from.table.iter().map(special).collect::<Result<_, Refusal>>()?,
        mask_secret: Secret(from.mask_secret.0.clone().into_bytes()),
        format: match form.format {
            typed::Format::Json if form.schemas => Format::JsonWithSchemas,
            typed::Format::Json => Format::Json,
            typed::Format::Plain => Format::Plain,
            typed::Format::Avro => Format::Avro(registry(from)?),
        },
        modes: modes(form),
        truncate: match form.truncate {
            typed::Truncate::Event => Truncate::Event,
            typed::Truncate::Deletes => Truncate::Deletes,
            typed::Truncate::Skip => Truncate::Skip,
            typed::Truncate::Stop => Truncate::Stop,
        },
        tombstones: form.tombstones,
        messages: form.messages,
        transactions: form.transactions,
        heartbeat_every: from.heartbeat_every,
        whole_rows: form.whole_rows,
        unfit: if from.stop_when_unfit { Unfitting::Stop } else { Unfitting::Quarantine },
        quarantine_topic: match from.quarantine_topic.as_str() {
            "" => topic::of_quarantine(&from.topic_prefix),
            name => name.to_owned(),
        },
        clock: now_us,
        rows_before: None,
    })
}

/// The outboxes of other sinks: their rows are events already, and a topic of the table itself has to be asked for by name.
fn relayed(config: &Config, from: &typed::Kafka) -> Vec<Pattern> {
    let tables = config.kafka.iter().filter_map(|sink| sink.outbox.as_ref()).map(|outbox| &outbox.table);
    let named = |table: &TableName| from.tables.iter().any(|pattern| pattern.is_literal() && pattern.matches(table));
    tables.filter(|table| !named(table)).filter_map(|table| Pattern::parse(&table.to_string())).collect()
}

/// Where the schemas are.
fn registry(from: &typed::Kafka) -> Result<registry::Settings, Refusal> {
    let Some(registry) = &from.registry else {
        let what = format!("the Kafka sink {} writes Avro and has no schema registry", from.name);
        return Err(Refusal::new(Kind::Usage, what, "set kafka.registry.url"));
    };
    Ok(registry::Settings {
        url: registry.url.clone(),
        login: registry.login.as_ref().map(|(user, password)| (user.clone(), password.0.clone())),
        ca: registry.ca.clone(),
        timeout: registry.timeout,
    })
}

fn modes(form: typed::Form) -> Modes {
    Modes {
        decimals: match form.decimals {
            typed::Decimals::Text => Decimals::Text,
            typed::Decimals::Precise => Decimals::Precise,
            typed::Decimals::Double => Decimals::Double,
        },
        times: match form.times {
            typed::Times::Adaptive => Times::Adaptive,
            typed::Times::Microseconds => Times::Microseconds,
            typed::Times::IsoString => Times::IsoString,
        },
        intervals: if form.iso_intervals { Intervals::IsoString } else { Intervals::Microseconds },
        compat: if form.strict { Compat::Strict } else { Compat::Honest },
    }
}

fn not_a_template(text: &str) -> Refusal {
    Refusal::new(Kind::Usage, format!("'{text}' names no topic"), "write it as {prefix}.{schema}.{table}")
}
