//! A stage without a database, for the actors' own tests.

use std::collections::BTreeMap;

use super::actor::{Actor, Image, Moment, Rows};
use super::dice::Dice;

/// Events played.
const EVENTS: u64 = 400;

/// Plays an actor through, and a second one that is made anew from its rows before every event: both decide the same.
pub(super) fn lives_on_after_restarts<A: Actor>(make: impl Fn() -> A, seed: u64) {
    let mut tables: BTreeMap<String, BTreeMap<BTreeMap<String, String>, Image>> = BTreeMap::new();
    let mut through = make();
    for number in 0..EVENTS {
        // The tick crosses midnight and whole seconds, where texts of times get shorter.
        let time_us = 1_700_000_000_000_000 + i64::try_from(number).unwrap() * 62_500_000;
        let moment = Moment { number, seed, time_us };
        let event = through.decide(moment, &mut Dice::new(seed, through.name(), number));

        let mut anew = make();
        let mut rows = Rows::default();
        for table in anew.tables() {
            rows.0.insert(
                (*table).to_owned(),
                tables.get(*table).into_iter().flat_map(BTreeMap::values).cloned().collect(),
            );
        }
        anew.restore(&rows).unwrap();
        let again = anew.decide(moment, &mut Dice::new(seed, anew.name(), number));
        let text = |event: &A::Event| serde_json::to_string(event).unwrap();
        assert_eq!(text(&event), text(&again), "seed {seed}, event {number}");
        let decoded: A::Event = serde_json::from_str(&text(&event)).unwrap();
        assert_eq!(text(&decoded), text(&event), "the record keeps an event whole");

        let effects = through.effects(&event);
        assert_eq!(effects, anew.effects(&event), "seed {seed}, event {number}");
        for effect in effects {
            let table = tables.entry(effect.table).or_default();
            match effect.after {
                Some(image) => table.insert(effect.key, image),
                None => table.remove(&effect.key),
            };
        }
        through.fold(&event);
    }
    assert!(tables.len() >= through.tables().len(), "the actor wrote to {:?} only", tables.keys());
}
