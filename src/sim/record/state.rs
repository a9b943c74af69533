//! What a record says: the last acknowledged image of every row, and the event in flight.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Lsn;
use crate::sim::actor::{Effect, Image, Rows};

/// Deleted rows remembered as absent; the oldest beyond it are forgotten, which an exclusive check does not mind.
pub const ABSENT_MAX: usize = 200_000;

/// A row's name: table and key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// `schema.name`.
    pub table: String,
    /// Key columns and their texts.
    pub key: BTreeMap<String, String>,
}

/// An event that was sent, or was about to be, and is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Its number.
    pub number: u64,
    /// The event itself, to repeat.
    pub event: Value,
    /// What it does: wholly, or not at all.
    pub effects: Vec<Effect>,
}

/// Simulated time: it depends on the event's number alone, so that a restart changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Time of event 0, microseconds since 1970.
    pub start_us: i64,
    /// Time from one event to the next, microseconds.
    pub tick_us: i64,
}

impl Clock {
    /// The time of event `number`, microseconds since 1970.
    #[must_use]
    pub fn time_us(self, number: u64) -> i64 {
        i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(self.tick_us).saturating_add(self.start_us)
    }
}

/// The content of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The actor.
    pub name: String,
    /// The simulation's seed.
    pub seed: u64,
    /// The simulation's time.
    pub clock: Clock,
    /// Events acknowledged, which is the number of the next one.
    pub acknowledged: u64,
    /// A reader at or past this position sees every acknowledged event.
    pub lsn: Lsn,
    in_flight: Option<InFlight>,
    /// Images are kept as JSON text: a third of the memory of maps.
    images: HashMap<RowKey, Option<Box<str>>>,
    absent: VecDeque<RowKey>,
}

impl State {
    /// Nothing promised yet.
    #[must_use]
    pub fn new(name: &str, seed: u64, clock: Clock) -> Self {
        Self {
            name: name.to_owned(),
            seed,
            clock,
            acknowledged: 0,
            lsn: Lsn::ZERO,
            in_flight: None,
            images: HashMap::new(),
            absent: VecDeque::new(),
        }
    }

    /// The engine the actor belongs to: its name up to the first dash.
    #[must_use]
    pub fn engine(&self) -> &str {
        self.name.split('-').next().unwrap_or(&self.name)
    }

    /// The event in flight, if there is one.
    #[must_use]
    pub fn in_flight(&self) -> Option<&InFlight> {
        self.in_flight.as_ref()
    }

    /// Rows remembered, absent ones included.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.images.len()
    }

    /// Each row's last acknowledged image; `None`: acknowledged to be absent.
    pub fn images(&self) -> impl Iterator<Item = (&RowKey, Option<Image>)> {
        self.images.iter().map(|(key, image)| (key, image.as_deref().map(parse)))
    }

    /// The last acknowledged image of one row; the outer `None`: never heard of it.
    #[must_use]
    pub fn image(&self, key: &RowKey) -> Option<Option<Image>> {
        self.images.get(key).map(|image| image.as_deref().map(parse))
    }

    /// The acknowledged rows of some tables, in key order: what an actor restarts from when there is no standby.
    #[must_use]
    pub fn rows_of(&self, tables: &[&str]) -> Rows {
        let mut sorted: BTreeMap<&RowKey, Image> = BTreeMap::new();
        for (key, image) in &self.images {
            if let (true, Some(image)) = (tables.contains(&key.table.as_str()), image) {
                sorted.insert(key, parse(image));
            }
        }
        let mut rows = Rows::default();
        for (key, image) in sorted {
            rows.0.entry(key.table.clone()).or_default().push(image);
        }
        rows
    }

    pub(super) fn begin(&mut self, in_flight: InFlight) {
        assert!(self.in_flight.is_none(), "one event at a time");
        assert_eq!(in_flight.number, self.acknowledged, "events are numbered without holes");
        self.in_flight = Some(in_flight);
    }

    pub(super) fn acknowledge(&mut self, lsn: Lsn) {
        let done = self.in_flight.take().expect("an acknowledgement answers the event in flight");
        for effect in done.effects {
            self.set(effect);
        }
        self.acknowledged += 1;
        self.lsn = self.lsn.max(lsn);
    }

    pub(super) fn set(&mut self, effect: Effect) {
        let key = RowKey { table: effect.table, key: effect.key };
        let image = effect.after.map(|image| serde_json::to_string(&image).expect("an image is plain data").into());
        if image.is_none() {
            self.absent.push_back(key.clone());
        }
        self.images.insert(key, image);
        while self.absent.len() > ABSENT_MAX {
            let oldest = self.absent.pop_front().expect("it is longer than its bound");
            if self.images.get(&oldest) == Some(&None) {
                self.images.remove(&oldest);
            }
        }
    }

    /// Each row as the effect that restores it.
    pub(super) fn effects(&self) -> impl Iterator<Item = Effect> {
        self.images().map(|(key, after)| Effect { table: key.table.clone(), key: key.key.clone(), after })
    }
}

fn parse(image: &str) -> Image {
    serde_json::from_str(image).expect("it was written from an image")
}
