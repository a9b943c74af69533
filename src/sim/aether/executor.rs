//! The executor: submits bundles to builders, submits some again, and asks the chain later what became of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{bytea_text, json, opportunity, target_block, time, timestamp};
use crate::engines::aether::{Answer, Bundle, Inclusion, Writer, arb_id};
use crate::engines::{Amount, Error, Store};
use crate::model::Lsn;
use crate::sim::actor::{Actor, Effect, Image, Moment, Rows, image};
use crate::sim::dice::Dice;

const BUNDLES: &str = "aether.bundles";
const RESULTS: &str = "aether.inclusion_results";

const BUILDERS: [&str; 5] = ["beaver", "builder0x69", "flashbots", "rsync", "titan"];

/// Answers that may wait for the truth before the poll loop does nothing else.
const WAITING_MAX: usize = 40;

/// The poll loop lets answers ripen until so many wait.
const WAITING_RIPE: usize = 12;

/// What a bundle that did not land is given as its error.
const NOT_LANDED: &str = "not landed";

/// What the executor may do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A bundle goes out, or is built as a shadow.
    Submit(Box<Bundle>),
    /// The newest bundle goes out again, at another price: its first submission stands.
    Resubmit(Box<Bundle>),
    /// The poll loop looked.
    Look(Inclusion),
}

/// A builder's answer to a bundle, ordered by time.
type Slot = (String, Uuid, String);

/// The executor, as the only writer of bundles and inclusion results.
pub struct Executor {
    /// How the transactions of its seed begin.
    tag: String,
    /// Answers whose truth is not known: (submitted, bundle, builder).
    waiting: BTreeSet<Slot>,
    /// What was found to have landed: (resolved, bundle, builder).
    landed: BTreeSet<Slot>,
    /// The newest bundle: when it was submitted, and the number of its opportunity.
    newest: Option<(String, u64)>,
}

impl Executor {
    /// The executor of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { tag: format!("0x02{seed:016x}"), waiting: BTreeSet::new(), landed: BTreeSet::new(), newest: None }
    }

    /// The bundle of opportunity `number`, whose transaction names it.
    fn bundle(&self, moment: Moment, number: u64, dice: &mut Dice) -> Bundle {
        Bundle {
            arb_id: arb_id(&opportunity(moment.seed, number)),
            submitted_at: timestamp(moment.time_us),
            target_block: target_block(number),
            signed_tx_hex: format!("{}{number:016x}", self.tag),
            gas_used: dice.chance(95).then(|| dice.between(150_000, 900_000)),
            gas_price_wei: dice.chance(95).then(|| Amount::from(dice.between(1_000_000_000, 90_000_000_000))),
            is_shadow: false,
            builders: None,
            answers: Vec::new(),
        }
    }

    fn submission(&self, moment: Moment, dice: &mut Dice) -> Bundle {
        let mut bundle = self.bundle(moment, moment.number, dice);
        if dice.chance(10) {
            bundle.is_shadow = true;
            bundle.builders = dice.chance(50).then(Vec::new);
            return bundle;
        }
        let names: Vec<&str> = BUILDERS.into_iter().filter(|_| dice.chance(50)).collect();
        bundle.builders = Some(names.iter().map(|name| (*name).to_owned()).collect());
        for builder in names {
            let error = dice.chance(10).then(|| "submission: rejected".to_owned());
            bundle.answers.push(Answer { builder: builder.to_owned(), error });
        }
        bundle
    }

    fn look(&self, moment: Moment, slot: &Slot, dice: &mut Dice) -> Inclusion {
        let included = dice.chance(40);
        Inclusion {
            bundle_id: slot.1,
            builder: slot.2.clone(),
            included,
            included_block: included.then(|| target_block(moment.number)),
            landed_tx_hash: included.then(|| dice.bytes::<32>().to_vec()),
            error: (!included).then(|| NOT_LANDED.to_owned()),
            resolved_at: timestamp(moment.time_us),
        }
    }

    /// A block was replaced by another one: what landed in it did not.
    fn correction(moment: Moment, slot: &Slot) -> Inclusion {
        Inclusion {
            bundle_id: slot.1,
            builder: slot.2.clone(),
            included: false,
            included_block: None,
            landed_tx_hash: None,
            error: Some(format!("{NOT_LANDED}: reorganised")),
            resolved_at: timestamp(moment.time_us),
        }
    }

    /// Takes over what is known of one answer.
    fn settle(&mut self, row: &Image) -> Result<(), String> {
        let text = |column: &str| row.get(column).cloned().flatten().ok_or(format!("a result without {column}"));
        let bundle = text("bundle_id")?.parse().map_err(|_| "a bundle_id that is no UUID")?;
        let slot = (text("resolved_at")?, bundle, text("builder")?);
        let known = row.get("error").cloned().flatten().is_some_and(|error| error.starts_with(NOT_LANDED));
        if text("included")? == "true" {
            self.landed.insert(slot);
        } else if !known {
            self.waiting.insert(slot);
        }
        Ok(())
    }
}

fn bundle_image(b: &Bundle) -> Image {
    let builders = b.builders.as_ref().map_or(Value::Null, |names| Value::from(names.clone()));
    image([
        ("bundle_id", Some(b.bundle_id().to_string())),
        ("arb_id", Some(b.arb_id.to_string())),
        ("submitted_at", time(b.submitted_at)),
        ("target_block", Some(b.target_block.to_string())),
        ("signed_tx_hex", Some(b.signed_tx_hex.clone())),
        ("gas_used", b.gas_used.map(|gas| gas.to_string())),
        ("gas_price_wei", b.gas_price_wei.as_ref().map(ToString::to_string)),
        ("is_shadow", Some(b.is_shadow.to_string())),
        ("builders", json(&builders)),
    ])
}

fn result_image(i: &Inclusion) -> Image {
    image([
        ("bundle_id", Some(i.bundle_id.to_string())),
        ("builder", Some(i.builder.clone())),
        ("included", Some(i.included.to_string())),
        ("included_block", i.included_block.map(|block| block.to_string())),
        ("landed_tx_hash", i.landed_tx_hash.as_deref().map(bytea_text)),
        ("error", i.error.clone()),
        ("resolved_at", time(i.resolved_at)),
    ])
}

/// An answer at submission is a result that knows nothing yet.
fn first_result(b: &Bundle, answer: &Answer) -> Inclusion {
    Inclusion {
        bundle_id: b.bundle_id(),
        builder: answer.builder.clone(),
        included: false,
        included_block: None,
        landed_tx_hash: None,
        error: answer.error.clone(),
        resolved_at: b.submitted_at,
    }
}

impl Actor for Executor {
    type Event = Event;

    fn name(&self) -> &'static str {
        "aether-executor"
    }

    fn tables(&self) -> &'static [&'static str] {
        &[BUNDLES, RESULTS]
    }

    fn restore(&mut self, rows: &Rows) -> Result<(), String> {
        (self.waiting, self.landed, self.newest) = (BTreeSet::new(), BTreeSet::new(), None);
        let mut mine = BTreeSet::new();
        for row in rows.of(BUNDLES) {
            let text = |column: &str| row.get(column).cloned().flatten().ok_or(format!("a bundle without {column}"));
            let transaction = text("signed_tx_hex")?;
            let Some(number) = transaction.strip_prefix(&self.tag) else { continue };
            let number = u64::from_str_radix(number, 16).map_err(|_| "a transaction that is not of this simulation")?;
            mine.insert(text("bundle_id")?);
            self.newest = self.newest.take().max(Some((text("submitted_at")?, number)));
        }
        let is_mine = |row: &&Image| row.get("bundle_id").cloned().flatten().is_some_and(|id| mine.contains(&id));
        rows.of(RESULTS).filter(is_mine).try_for_each(|row| self.settle(row))
    }

    fn decide(&self, moment: Moment, dice: &mut Dice) -> Event {
        let ripe = self.waiting.len() > WAITING_MAX || self.waiting.len() > WAITING_RIPE && dice.chance(60);
        match (self.waiting.first(), self.landed.last(), &self.newest) {
            (Some(slot), _, _) if ripe => Event::Look(self.look(moment, slot, dice)),
            (_, Some(slot), _) if dice.chance(3) => Event::Look(Self::correction(moment, slot)),
            (_, _, Some((_, number))) if dice.chance(8) => {
                Event::Resubmit(Box::new(self.bundle(moment, *number, dice)))
            }
            (_, _, _) => Event::Submit(Box::new(self.submission(moment, dice))),
        }
    }

    fn effects(&self, event: &Event) -> Vec<Effect> {
        match event {
            Event::Submit(bundle) => {
                let result = |answer| result_image(&first_result(bundle, answer));
                let results = bundle.answers.iter().map(result);
                let results = results.map(|row| Effect::row(RESULTS, &["bundle_id", "builder"], row));
                std::iter::once(Effect::row(BUNDLES, &["bundle_id"], bundle_image(bundle))).chain(results).collect()
            }
            Event::Resubmit(_) => Vec::new(),
            Event::Look(look) => vec![Effect::row(RESULTS, &["bundle_id", "builder"], result_image(look))],
        }
    }

    async fn perform(&mut self, store: &Store, event: &Event) -> Result<Lsn, Error> {
        let writer = Writer::new(store.clone());
        let written = match event {
            Event::Submit(bundle) | Event::Resubmit(bundle) => writer.submit_bundle(bundle).await,
            Event::Look(look) => writer.record_inclusion(look).await,
        };
        Ok(written?.lsn)
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::Submit(bundle) => {
                let number = u64::from_str_radix(&bundle.signed_tx_hex[self.tag.len()..], 16).expect("our own text");
                self.newest = time(bundle.submitted_at).map(|at| (at, number));
            }
            Event::Resubmit(_) => {}
            Event::Look(look) => {
                let other = |slot: &Slot| slot.1 != look.bundle_id || slot.2 != look.builder;
                self.waiting.retain(other);
                self.landed.retain(other);
            }
        }
        let rows: BTreeMap<_, _> = self.effects(event).into_iter().map(|effect| (effect.key, effect.after)).collect();
        for row in rows.into_values().flatten().filter(|row| row.contains_key("builder")) {
            self.settle(&row).expect("an image of our own");
        }
    }
}
