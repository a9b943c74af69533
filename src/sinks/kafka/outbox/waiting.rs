//! The rows that wait, by aggregate, and which of them is due first.
//!
//! Invariants: only the oldest row of an aggregate can be due; what is held in memory is counted to the byte.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::parked::{Aggregate, Body, Parked, Place};

/// Rows that wait.
#[derive(Debug, Default)]
pub struct Waiting {
    rows: HashMap<Arc<str>, Slot>,
    /// The rows of each aggregate, oldest first.
    queues: HashMap<Arc<Aggregate>, BTreeSet<(Place, Arc<str>)>>,
    /// The oldest rows of all aggregates by the time they are due, but for those whose body is being read.
    heads: BTreeSet<(i64, Place, Arc<str>)>,
    /// Rows whose body is being read.
    asked: usize,
    bytes_alone: usize,
    bytes_of_bodies: usize,
}

#[derive(Debug)]
struct Slot {
    row: Parked,
    asked: bool,
}

impl Waiting {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row `id`, if it waits.
    pub fn get(&self, id: &str) -> Option<&Parked> {
        self.rows.get(id).map(|slot| &slot.row)
    }

    /// Whether rows of this aggregate wait.
    pub fn holds(&self, aggregate: &Aggregate) -> bool {
        self.queues.contains_key(aggregate)
    }

    /// Memory: rows without bodies, and their bodies.
    pub fn bytes(&self) -> (usize, usize) {
        (self.bytes_alone, self.bytes_of_bodies)
    }

    /// Whether the body of a row is being read.
    pub fn is_asking(&self) -> bool {
        self.asked > 0
    }

    /// The rows in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Parked)> {
        self.rows.iter().map(|(id, slot)| (id, &slot.row))
    }

    /// The row that is due first, and when.
    pub fn first_due(&self) -> Option<(i64, Arc<str>)> {
        self.heads.first().map(|(due, _, id)| (*due, Arc::clone(id)))
    }

    /// The head of its aggregate that is due first, and those that wait behind others: in the order they may be expected.
    pub fn soonest(&self, limit: usize) -> Vec<(Arc<str>, &Parked)> {
        let heads = self.heads.iter().map(|(_, _, id)| id);
        let behind = self.queues.values().flat_map(|queue| queue.iter().skip(1)).map(|(_, id)| id);
        let first = self.queues.values().filter_map(|queue| queue.first()).map(|(_, id)| id);
        let asked = first.filter(|id| self.is_asked(id));
        let ids = asked.chain(heads).chain(behind).take(limit);
        ids.filter_map(|id| Some((Arc::clone(id), self.get(id)?))).collect()
    }

    fn is_asked(&self, id: &str) -> bool {
        self.rows.get(id).is_some_and(|slot| slot.asked)
    }

    /// Adds a row, which must not be there.
    pub fn insert(&mut self, id: Arc<str>, row: Parked) {
        assert!(!self.rows.contains_key(&id), "a row waits once");
        self.leave_head(&row.aggregate);
        self.bytes_alone += row.bytes_alone(&id);
        self.bytes_of_bodies += row.body.bytes();
        let aggregate = Arc::clone(&row.aggregate);
        self.queues.entry(Arc::clone(&aggregate)).or_default().insert((row.place, Arc::clone(&id)));
        self.rows.insert(id, Slot { row, asked: false });
        self.take_head(&aggregate);
    }

    /// Takes a row out; the next of its aggregate may be due now.
    pub fn remove(&mut self, id: &str) -> Option<Parked> {
        let aggregate = Arc::clone(&self.rows.get(id)?.row.aggregate);
        self.leave_head(&aggregate);
        let (id, slot) = self.rows.remove_entry(id)?;
        self.asked -= usize::from(slot.asked);
        self.bytes_alone -= slot.row.bytes_alone(&id);
        self.bytes_of_bodies -= slot.row.body.bytes();
        let queue = self.queues.get_mut(&aggregate).expect("a row that waits is in its queue");
        queue.remove(&(slot.row.place, id));
        if queue.is_empty() {
            self.queues.remove(&aggregate);
        }
        self.take_head(&aggregate);
        Some(slot.row)
    }

    /// Changes a row, but neither its aggregate nor its place.
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Parked)) {
        let Some(slot) = self.rows.get(id) else { return };
        let (aggregate, place) = (Arc::clone(&slot.row.aggregate), slot.row.place);
        self.leave_head(&aggregate);
        let slot = self.rows.get_mut(id).expect("it was there");
        self.bytes_alone -= slot.row.bytes_alone(id);
        self.bytes_of_bodies -= slot.row.body.bytes();
        change(&mut slot.row);
        assert!(slot.row.place == place && slot.row.aggregate == aggregate, "a row keeps its place");
        self.bytes_alone += slot.row.bytes_alone(id);
        self.bytes_of_bodies += slot.row.body.bytes();
        self.take_head(&aggregate);
    }

    /// Its body is being read: until [`Self::answered`] it is not due.
    pub fn ask(&mut self, id: &str) {
        self.set_asked(id, true);
    }

    /// The body was read: `None` when it could not be, and is to be asked for again.
    pub fn answered(&mut self, id: &str, body: Option<Body>) {
        if !self.is_asked(id) {
            return;
        }
        self.set_asked(id, false);
        if let Some(body) = body {
            self.change(id, |row| row.body = body);
        }
    }

    fn set_asked(&mut self, id: &str, asked: bool) {
        let Some(slot) = self.rows.get(id) else { return };
        let (aggregate, was) = (Arc::clone(&slot.row.aggregate), slot.asked);
        self.leave_head(&aggregate);
        self.rows.get_mut(id).expect("it was there").asked = asked;
        self.asked = self.asked + usize::from(asked) - usize::from(was);
        self.take_head(&aggregate);
    }

    fn leave_head(&mut self, aggregate: &Arc<Aggregate>) {
        if let Some(head) = self.head_of(aggregate) {
            self.heads.remove(&head);
        }
    }

    fn take_head(&mut self, aggregate: &Arc<Aggregate>) {
        self.heads.extend(self.head_of(aggregate));
    }

    /// The aggregate's oldest row as it stands among the heads, unless its body is being read.
    fn head_of(&self, aggregate: &Arc<Aggregate>) -> Option<(i64, Place, Arc<str>)> {
        let (place, id) = self.queues.get(aggregate)?.first()?;
        let slot = &self.rows[id];
        (!slot.asked).then(|| (slot.row.due_us(), *place, Arc::clone(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::ALWAYS;
    use super::*;
    use crate::model::{Lsn, Position};

    fn row(within: i64, aggregate: &str, due_us: i64) -> Parked {
        let aggregate = Aggregate { kind: Some("t".into()), id: Some(aggregate.into()) };
        let body = Body::Held { payload: Some(b"12345".to_vec()), headers: None };
        Parked {
            place: Place { lsn: Lsn(1), within },
            aggregate: Arc::new(aggregate),
            event_type: None,
            body,
            available_us: due_us,
            retry_us: ALWAYS,
            attempts: 0,
            error: None,
            at: Position::ZERO,
        }
    }

    fn first(waiting: &Waiting) -> String {
        waiting.first_due().map_or("none".into(), |(due, id)| format!("{id}@{due}"))
    }

    #[test]
    fn only_the_oldest_of_an_aggregate_is_due() {
        let mut waiting = Waiting::default();
        waiting.insert("a1".into(), row(1, "a", 50));
        waiting.insert("a2".into(), row(2, "a", 10));
        waiting.insert("b1".into(), row(3, "b", 40));
        assert_eq!(first(&waiting), "b1@40");
        waiting.remove("b1");
        assert_eq!(first(&waiting), "a1@50");
        waiting.change("a1", |row| row.retry_us = 90);
        assert_eq!(first(&waiting), "a1@90");
        // What was noted earlier comes first, whenever it is restored.
        waiting.insert("a0".into(), row(0, "a", 70));
        assert_eq!(first(&waiting), "a0@70");
        waiting.ask("a0");
        assert_eq!((first(&waiting), waiting.is_asking()), ("none".into(), true));
        waiting.answered("a0", Some(Body::Elsewhere));
        assert_eq!((first(&waiting), waiting.is_asking()), ("a0@70".into(), false));
        for id in ["a0", "a1", "a2"] {
            waiting.remove(id);
        }
        assert_eq!((first(&waiting), waiting.bytes(), waiting.len()), ("none".into(), (0, 0), 0));
    }
}
