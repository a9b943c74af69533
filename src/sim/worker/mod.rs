//! Simulated worker: a bot that places orders on two exchanges, hears of fills, and keeps books about itself.

mod decide;
mod effects;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use super::actor::{Actor, Effect, Image, Moment, Rows};
use super::dice::Dice;
use crate::engines::worker::{Audit, Fill, FundingPayment, FundingSnapshot, Order, Snapshot, StatusChange, Writer};
use crate::engines::{Error, Store};
use crate::model::Lsn;

const ORDERS: &str = "worker.orders";
const FILLS: &str = "worker.fills";

/// The namespace of simulated ids.
const NAMESPACE: Uuid = uuid!("5d0c2b34-9f0e-5a77-b1f7-31d1a3f5e0c8");

/// What the bot may do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It decides on an order.
    Place(Order),
    /// It decides, believes the answer lost, and decides again: the same key, another id.
    PlaceTwice(Order, Uuid),
    /// An exchange says what became of an order.
    Status(StatusChange),
    /// An exchange reports a fill.
    Fill(Fill),
    /// An exchange reports a fill twice, under the same name.
    FillTwice(Fill, Uuid),
    /// It held its state against the exchanges'.
    Reconcile(Snapshot),
    /// It notes what it did.
    Audit(Audit),
    /// It looks at funding.
    Funding(FundingSnapshot),
    /// Funding is settled.
    Payment(FundingPayment),
}

/// An order that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    /// Its row.
    row: Image,
    /// How much of it is filled, base units.
    filled: i64,
}

impl Open {
    fn text(&self, column: &str) -> &str {
        self.row.get(column).and_then(Option::as_deref).unwrap_or_else(|| panic!("an order without {column}"))
    }

    fn id(&self) -> Uuid {
        self.text("id").parse().expect("an id is a UUID")
    }

    fn number(&self, column: &str) -> i64 {
        self.text(column).parse().expect("a bigint")
    }
}

/// The bot, as the only writer of its rows.
pub struct Worker {
    /// How its keys begin: no other seed has them.
    tag: String,
    /// Orders that are not done, by key, which is in order of placing.
    open: BTreeMap<String, Open>,
}

impl Worker {
    /// The bot of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { tag: format!("sim-{seed:x}-"), open: BTreeMap::new() }
    }

    fn of_id(&self, id: Uuid) -> &Open {
        self.open.values().find(|open| open.id() == id).expect("the bot speaks of orders that are not done")
    }
}

/// An id that follows from what it is of.
fn id(moment: Moment, of: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{:x}:{of}:{}", moment.seed, moment.number).as_bytes())
}

fn is_done(status: &str) -> bool {
    ["FILLED", "CANCELLED", "REJECTED"].contains(&status)
}

fn timestamp(time_us: i64) -> Timestamp {
    Timestamp::from_microsecond(time_us).expect("simulated time is within jiff's years")
}

impl Actor for Worker {
    type Event = Event;

    fn name(&self) -> &'static str {
        "worker"
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ORDERS, FILLS]
    }

    fn restore(&mut self, rows: &Rows) -> Result<(), String> {
        let text = |row: &Image, column: &str| row.get(column).cloned().flatten().unwrap_or_default();
        let mine = |row: &&Image| text(row, "idempotency_key").starts_with(&self.tag) && !is_done(&text(row, "status"));
        let open = |row: &Image| (text(row, "idempotency_key"), Open { row: row.clone(), filled: 0 });
        let mut orders: BTreeMap<String, Open> = rows.of(ORDERS).filter(mine).map(open).collect();
        let mut filled: BTreeMap<String, i64> = BTreeMap::new();
        for fill in rows.of(FILLS) {
            let quantity: i64 = text(fill, "quantity_base").parse().map_err(|_| "a fill without a quantity")?;
            *filled.entry(text(fill, "order_id")).or_default() += quantity;
        }
        for order in orders.values_mut() {
            order.filled = filled.get(order.text("id")).copied().unwrap_or(0);
        }
        self.open = orders;
        Ok(())
    }

    fn decide(&self, moment: Moment, dice: &mut Dice) -> Event {
        decide::decide(self, moment, dice)
    }

    fn effects(&self, event: &Event) -> Vec<Effect> {
        effects::effects(self, event)
    }

    async fn perform(&mut self, store: &Store, event: &Event) -> Result<Lsn, Error> {
        let writer = Writer::new(store.clone());
        let written = match event {
            Event::Place(order) => writer.place_order(order).await?.written,
            Event::PlaceTwice(order, other_id) => {
                let first = writer.place_order(order).await?;
                let again = writer.place_order(&Order { id: *other_id, ..order.clone() }).await?;
                assert_eq!((first.id, again.written.applied), (again.id, false), "a key makes one order");
                again.written
            }
            Event::Status(change) => writer.change_status(change).await?,
            Event::Fill(fill) => writer.record_fill(fill).await?,
            Event::FillTwice(fill, other_id) => {
                writer.record_fill(fill).await?;
                let again = writer.record_fill(&Fill { id: *other_id, ..fill.clone() }).await?;
                assert!(!again.applied, "a fill has one name");
                again
            }
            Event::Reconcile(snapshot) => writer.record_snapshot(snapshot).await?,
            Event::Audit(audit) => writer.record_audit(audit).await?,
            Event::Funding(funding) => writer.record_funding(funding).await?,
            Event::Payment(payment) => writer.record_payment(payment).await?,
        };
        Ok(written.lsn)
    }

    fn fold(&mut self, event: &Event) {
        let filled = match event {
            Event::Fill(fill) | Event::FillTwice(fill, _) => fill.quantity_base,
            _ => 0,
        };
        for row in self.effects(event).into_iter().filter(|e| e.table == ORDERS).filter_map(|e| e.after) {
            let open = Open { row, filled };
            let key = open.text("idempotency_key").to_owned();
            let before = self.open.remove(&key).map_or(0, |open| open.filled);
            if !is_done(open.text("status")) {
                self.open.insert(key, Open { filled: before + filled, ..open });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rehearsal::lives_on_after_restarts;
    use super::*;

    #[test]
    fn the_bot_goes_on_from_its_rows_as_if_nothing_had_happened() {
        lives_on_after_restarts(|| Worker::new(7), 7);
    }
}
