//! The sinks' durable positions: looked at, taken back, made anew.

use std::fmt;

use serde::Serialize;

use crate::config::{Config, SinkName};
use crate::model::Position;
use crate::pg::{self, Purpose, SqlState};
use crate::refusal::{Kind, Refusal};
use crate::sinks::rollup::by_hand;
use crate::sinks::{checkpoints, cursor};

/// Where a sink stands, durably.
#[derive(Debug, Serialize)]
pub struct SinkFacts {
    /// standby, or a roll-up.
    pub sink: String,
    /// Everything up to here has had its effect, durably; null when it has none yet.
    pub position: Option<Position>,
    /// The epoch of that position.
    pub epoch: Option<u32>,
    /// A roll-up's generation.
    pub generation: Option<i64>,
    /// Positions it can be taken back to without reading Postgres: the standby's checkpoints.
    pub checkpoints: Vec<Position>,
}

/// All sinks.
#[derive(Debug, Serialize)]
pub struct Sinks {
    /// The standby first, then the roll-ups.
    pub sinks: Vec<SinkFacts>,
    /// Those that keep their position in Kafka, which `pgtape kafka show` asks.
    pub kafka: Vec<String>,
}

impl fmt::Display for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sink in &self.sinks {
            let position = sink.position.map_or_else(|| "no position yet".to_owned(), |p| p.to_string());
            write!(f, "{:<20} {position}", sink.sink)?;
            sink.epoch.iter().try_for_each(|epoch| write!(f, "  epoch {epoch}"))?;
            sink.generation.iter().try_for_each(|generation| write!(f, "  generation {generation}"))?;
            if sink.checkpoints.len() > 1 {
                let older: Vec<String> = sink.checkpoints[1..].iter().map(ToString::to_string).collect();
                write!(f, "  also at {}", older.join(", "))?;
            }
            writeln!(f)?;
        }
        if !self.kafka.is_empty() {
            writeln!(f, "{}: in Kafka, see pgtape kafka show", self.kafka.join(", "))?;
        }
        Ok(())
    }
}

/// The durable positions of the configured sinks: checkpoints on disk, rows of `pgtape.sink_position`.
pub async fn show(config: &Config) -> Result<Sinks, Refusal> {
    let mut sinks = Vec::new();
    if config.has_sink(SinkName::Standby) {
        sinks.push(standby(config)?);
    }
    let kept = kept(config);
    if !kept.is_empty() {
        let doing = "look at the positions of the roll-ups";
        let session = pg::connect(config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal(doing))?;
        for name in kept {
            let stored = match cursor::read(&*session, name).await {
                Ok(stored) => stored,
                Err(error) if error.is(&SqlState::UNDEFINED_TABLE) => None,
                Err(error) => return Err(error.into_refusal(doing)),
            };
            sinks.push(SinkFacts {
                sink: name.clone(),
                position: stored.as_ref().map(|s| Position::whole(s.lsn)),
                epoch: stored.as_ref().map(|s| s.epoch),
                generation: stored.as_ref().map(|s| s.generation),
                checkpoints: Vec::new(),
            });
        }
    }
    let named = config.kafka.iter().filter(|_| config.has_sink(SinkName::Kafka)).map(|sink| sink.name.clone());
    Ok(Sinks { sinks, kafka: named.collect() })
}

/// The roll-ups that a run keeps: those named of which every table they read is captured.
pub(super) fn kept(config: &Config) -> Vec<&String> {
    let reads_captured = |name: &&String| {
        by_hand::rollup(name).is_some_and(|rollup| rollup.sources().iter().all(|s| config.captures(&s.table)))
    };
    let names = if config.has_sink(SinkName::Rollup) { config.rollups.names.as_slice() } else { &[] };
    names.iter().filter(reads_captured).collect()
}

fn standby(config: &Config) -> Result<SinkFacts, Refusal> {
    let found = checkpoints::list(&checkpoints::dir(&config.data_dir)).map_err(|e| {
        Refusal::new(Kind::Disk, format!("the checkpoints cannot be listed: {e}"), "check the data directory")
    })?;
    Ok(SinkFacts {
        sink: "standby".into(),
        position: found.first().map(|c| Position::whole(c.point.1)),
        epoch: found.first().map(|c| c.point.0),
        generation: None,
        checkpoints: found.iter().map(|c| Position::whole(c.point.1)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Overrides};

    #[tokio::test]
    async fn only_what_is_kept_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let flags = Overrides {
            config: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/config/pgtape.toml").into()),
            tables: Some("shop.*".into()),
            data_dir: Some(dir.path().to_owned()),
            ..Overrides::default()
        };
        let mut config = Config::load(&flags, &Environment::default()).unwrap();
        assert_eq!(kept(&config).len(), 0);
        let shown: Vec<String> = show(&config).await.unwrap().sinks.into_iter().map(|s| s.sink).collect();
        assert_eq!(shown, ["standby"], "and no server is asked");
        config.source.tables = config
            .rollups
            .names
            .iter()
            .map(|n| crate::model::Pattern::parse(&n.replace("pnl_daily", "*")).unwrap())
            .collect();
        assert_eq!(kept(&config).len(), config.rollups.names.len());
    }
}
