//! From the checked configuration to what each part is built with.

use std::sync::Arc;

use crate::api::Limits;
use crate::config::{self, Config, SinkName};
use crate::model::TableName;
use crate::refusal::{Kind, Refusal};
use crate::sinks::rollup::{RollUp, by_hand};
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
    Ok(sinks::Settings {
        tape_dir: config.tape.dir.clone(),
        data_dir: config.data_dir.clone(),
        extras: extras(&config.standby),
        rollups: rollups(config)?,
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

/// The roll-ups that are kept: those named, if all tables they read are captured (`--tables` may name fewer than the
/// file). One that lacked a table would empty its target.
fn rollups(config: &Config) -> Result<Vec<Arc<dyn RollUp>>, Refusal> {
    let names: &[String] = if config.has_sink(SinkName::Rollup) { &config.rollups.names } else { &[] };
    let mut rollups = Vec::new();
    for name in names {
        let rollup = by_hand::rollup(name).ok_or_else(|| unknown(name))?;
        match rollup.sources().iter().find(|source| !config.captures(&source.table)) {
            None => rollups.push(rollup),
            Some(missing) => {
                tracing::info!(rollup = name, table = %missing.table, "left out: the table is not captured")
            }
        }
    }
    Ok(rollups)
}

/// The roll-ups that are kept, with their SELECTs.
pub fn definitions(config: &Config) -> Result<Vec<Definition>, Refusal> {
    let definition = |rollup: Arc<dyn RollUp>| {
        let name = rollup.name();
        let select = by_hand::definition(name).ok_or_else(|| unknown(name))?;
        let target = rollup.target();
        Ok(Definition {
            name: name.to_owned(),
            target: target.table.clone(),
            keys: target.keys.iter().map(|(column, _)| (*column).to_owned()).collect(),
            select: select.to_owned(),
        })
    };
    rollups(config)?.into_iter().map(definition).collect()
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
        publication: config.source.publication.clone(),
        standby: sinks.standby.clone(),
        control: sinks.control.clone(),
        definitions: definitions(config)?.into(),
        quarantined: Arc::new(move |name| handles.quarantined(name)),
    })
}

/// The bounds of HTTP.
pub(super) fn limits(from: &config::Http) -> Limits {
    Limits { requests_max: from.requests_max, snapshots_max: from.snapshots_max, request_timeout: from.request_timeout }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Overrides};

    #[test]
    fn a_roll_up_is_kept_only_where_all_it_reads_is_captured() {
        let check = |tables: Option<&str>, sinks: Option<&str>, want: &[&str]| {
            let flags = Overrides {
                config: tables.map(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/config/pgtape.toml").into()),
                tables: tables.map(Into::into),
                sinks: sinks.map(Into::into),
                ..Overrides::default()
            };
            let config = Config::load(&flags, &Environment::default()).unwrap();
            let kept: Vec<String> = definitions(&config).unwrap().into_iter().map(|d| d.name).collect();
            assert_eq!(kept, want, "{tables:?} {sinks:?}");
        };
        check(None, None, &by_hand::NAMES);
        check(None, Some("standby"), &[]);
        check(Some("aether.*,perplex.fills"), None, &["aether.pnl_daily"]);
        check(Some("shop.*"), None, &[]);
    }
}
