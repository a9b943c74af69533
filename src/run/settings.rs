//! From the checked configuration to what each part is built with.

use std::sync::Arc;

use crate::api::Limits;
use crate::config::{self, Config, SinkName};
use crate::model::TableName;
use crate::refusal::{Kind, Refusal};
use crate::sinks::rollup::by_hand;
use crate::sinks::standby::{BookSpec, Extras, IndexSpec};
use crate::sinks::{self, Handles};
use crate::source;
use crate::tape::{self, Watermark};
use crate::verify::{Definition, Verifier};

/// What the source is built with. The targets of roll-ups are never captured: that would be a loop.
pub(super) fn source(config: &Config) -> Result<source::Settings, Refusal> {
    let from = &config.source;
    Ok(source::Settings {
        address: config.address()?.clone(),
        slot: from.slot.clone(),
        publication: from.publication.clone(),
        tables: config.tables()?.to_vec(),
        excluded: by_hand::NAMES.iter().filter_map(|name| TableName::parse(name)).collect(),
        state_dir: config.data_dir.clone(),
        fsync_every: config.tape.fsync_every,
        status_interval: from.status_interval,
        frozen_after: from.frozen_after,
        heartbeat_every: from.heartbeat_every,
        decoding_memory_bytes: from.decoding_memory_bytes,
        copy_jobs: from.copy_jobs,
    })
}

/// What the tape's writer is opened with; `watermark` is that of the writer before it, if there was one.
pub(super) fn tape(from: &config::Tape, watermark: Option<Watermark>) -> tape::Options {
    tape::Options {
        segment_bytes: from.segment_bytes,
        compress: from.compress,
        reserve_bytes: from.reserve_bytes,
        watermark,
        ..tape::Options::default()
    }
}

/// What the sinks are started with.
pub(super) fn sinks(config: &Config) -> Result<sinks::Settings, Refusal> {
    let names: &[String] = if config.has_sink(SinkName::Rollup) { &config.rollups.names } else { &[] };
    let rollups: Result<Vec<_>, Refusal> =
        names.iter().map(|name| by_hand::rollup(name).ok_or_else(|| unknown(name))).collect();
    Ok(sinks::Settings {
        tape_dir: config.tape.dir.clone(),
        data_dir: config.data_dir.clone(),
        extras: extras(&config.standby),
        rollups: rollups?,
        address: Some(config.address()?.clone()),
        checkpoint_every: config.standby.checkpoint_every,
        flush_every: config.rollups.flush_every,
        delta_bytes_max: usize::try_from(config.rollups.memory_max_bytes).unwrap_or(usize::MAX),
    })
}

fn extras(from: &config::Standby) -> Extras {
    let index = |index: &config::Index| IndexSpec { table: index.table.clone(), columns: index.columns.clone() };
    let book = |book: &config::Book| BookSpec {
        engine: book.engine.clone(),
        table: book.table.clone(),
        market: book.market.clone(),
        side: book.side.clone(),
        bid: book.bid.clone(),
        ask: book.ask.clone(),
        price: book.price.clone(),
        quantity: book.quantity.clone(),
        resting: book.resting.clone(),
    };
    Extras { indexes: from.indexes.iter().map(index).collect(), books: from.books.iter().map(book).collect() }
}

/// The roll-ups that are kept, with their SELECTs.
pub fn definitions(config: &Config) -> Result<Vec<Definition>, Refusal> {
    if !config.has_sink(SinkName::Rollup) {
        return Ok(Vec::new());
    }
    let definition = |name: &String| {
        let rollup = by_hand::rollup(name).ok_or_else(|| unknown(name))?;
        let select = by_hand::definition(name).ok_or_else(|| unknown(name))?;
        let target = rollup.target();
        Ok(Definition {
            name: name.clone(),
            target: target.table.clone(),
            keys: target.keys.iter().map(|(column, _)| (*column).to_owned()).collect(),
            select: select.to_owned(),
        })
    };
    config.rollups.names.iter().map(definition).collect()
}

fn unknown(name: &str) -> Refusal {
    let hint = format!("there are {}", by_hand::NAMES.join(", "));
    Refusal::new(Kind::Usage, format!("rollups.names: there is no roll-up {name}"), hint)
}

/// What a verification works with.
pub(super) fn verifier(config: &Config, sinks: &Handles) -> Result<Verifier, Refusal> {
    let handles = sinks.clone();
    Ok(Verifier {
        address: config.address()?.clone(),
        control: sinks.control.clone(),
        definitions: definitions(config)?.into(),
        quarantined: Arc::new(move |name| handles.quarantined(name)),
    })
}

/// The bounds of HTTP.
pub(super) fn limits(from: &config::Http) -> Limits {
    Limits { requests_max: from.requests_max, snapshots_max: from.snapshots_max, request_timeout: from.request_timeout }
}
