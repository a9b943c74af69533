//! The shared apply step: the standby, and the roll-ups that take their contributions while it applies.

use std::sync::Arc;

use super::Error;
use super::background::Checkpointer;
use super::contract::Sink;
use super::control::CheckpointReply;
use super::quarantine;
use super::quarantines::Quarantines;
use super::rollup::{Mailbox, Maintainer, Point};
use super::standby::{Observer, Publisher, Row, StandbyReader, Store, Unit, View};
use crate::model::Lsn;
use crate::pgoutput::Message;
use crate::tape::{Head, Kind};

/// A batch is published at the latest after so many messages: what readers lag behind in catch-up.
pub const BATCH_MESSAGES_MAX: u64 = 20_000;

/// A roll-up with its writer's mailbox.
pub(super) struct Kept {
    pub(super) maintainer: Maintainer,
    pub(super) mailbox: Arc<Mailbox>,
}

/// Standby and roll-ups as one sink.
pub(super) struct Step {
    store: Store,
    rollups: Rollups,
    publisher: Arc<Publisher>,
    reader: StandbyReader,
    quarantines: Quarantines,
    checkpointer: Checkpointer,
    unit: Unit,
    messages: u64,
    /// Captured tables had transactions since the last flush.
    activity: bool,
    moved: bool,
}

impl Step {
    pub(super) fn new(
        store: Store,
        rollups: Vec<Kept>,
        publisher: Arc<Publisher>,
        reader: StandbyReader,
        quarantines: Quarantines,
        checkpointer: Checkpointer,
    ) -> Self {
        Self {
            store,
            rollups: Rollups(rollups),
            publisher,
            reader,
            quarantines,
            checkpointer,
            unit: Unit::Changes,
            messages: 0,
            activity: false,
            moved: true,
        }
    }

    /// The last checkpoint before the end, if that does not take too long.
    pub(super) fn last_checkpoint(&mut self) {
        self.checkpointer.last(&self.reader.view());
    }

    /// Where the apply is.
    pub(super) fn point(&self) -> Point {
        let (epoch, position) = self.store.position();
        (epoch, position.lsn)
    }
}

impl Sink for Step {
    fn preamble(&mut self, message: Message<'_>) -> Result<(), Error> {
        self.store.preamble(message);
        Ok(())
    }

    fn begin(&mut self, head: &Head) -> Result<(), Error> {
        let store = &self.store;
        self.rollups.0.iter_mut().for_each(|kept| kept.maintainer.begin(head.end_lsn, store));
        self.unit = self.store.begin(head, &mut self.rollups);
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), Error> {
        self.store.apply(message, self.unit, &mut self.rollups)?;
        self.messages += 1;
        let store = &self.store;
        let full = self.rollups.0.iter_mut().filter(|kept| kept.maintainer.is_full());
        full.for_each(|kept| kept.maintainer.settle(store));
        Ok(())
    }

    fn commit(&mut self, head: &Head) -> Result<(), Error> {
        self.store.commit(head, self.unit, &mut self.rollups);
        self.activity |= head.kind != Kind::Message && self.store.take_activity();
        self.moved = true;
        Ok(())
    }

    fn progress(&mut self, lsn: Lsn) {
        self.store.progress(lsn);
        self.moved = true;
    }

    fn is_full(&self) -> bool {
        self.messages >= BATCH_MESSAGES_MAX
    }

    /// Quarantine first, so that what a roll-up leaves out is on disk before the roll-up's position passes it.
    fn flush(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.moved) {
            return Ok(());
        }
        self.messages = 0;
        let (_, position) = self.store.position();
        self.quarantines.note(quarantine::STANDBY, &self.store.take_notes(), position)?;
        let (point, activity) = (self.point(), std::mem::take(&mut self.activity));
        self.checkpointer.changed(activity);
        for kept in &mut self.rollups.0 {
            kept.maintainer.settle(&self.store);
            let effect = kept.maintainer.take();
            self.quarantines.note(kept.maintainer.rollup().name(), &effect.notes, position)?;
            if point.0 > 0 && kept.maintainer.is_behind(point.1) {
                kept.mailbox.offer(effect, point, activity);
            }
        }
        fail::fail_point!("sinks::delta-sent");
        self.publisher.publish(self.store.view());
        self.checkpointer.consider(&self.reader);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.rollups.0.iter().all(|kept| kept.mailbox.has_room())
    }

    fn demand(&mut self, lsn: Lsn) {
        let point = (self.point().0, lsn);
        self.rollups.0.iter().for_each(|kept| kept.mailbox.demand(point));
    }

    fn is_durable_at(&self, lsn: Lsn) -> bool {
        let point = (self.point().0, lsn);
        self.rollups.0.iter().all(|kept| kept.mailbox.has_reached(point))
    }

    fn stuck(&self) -> Option<String> {
        let stuck = |kept: &Kept| {
            let why = kept.mailbox.stuck()?;
            Some(format!("the roll-up {} cannot commit: {why}", kept.maintainer.rollup().name()))
        };
        self.rollups.0.iter().find_map(stuck)
    }

    fn view(&self) -> Arc<View> {
        self.reader.view()
    }

    fn checkpoint(&mut self, done: CheckpointReply) {
        self.checkpointer.now(&self.reader, Some(done));
    }

    fn must_restart(&self) -> bool {
        self.rollups.0.iter().any(|kept| kept.mailbox.is_fenced())
    }
}

/// All roll-ups, as one observer of the store.
struct Rollups(Vec<Kept>);

impl Observer for Rollups {
    fn watches(&mut self, store: &Store, number: usize) -> bool {
        self.0.iter_mut().any(|kept| kept.maintainer.watches(store, number))
    }

    fn changing(&mut self, store: &Store, number: usize, old: Option<Row<'_>>, new: Option<Row<'_>>) {
        self.0.iter_mut().for_each(|kept| kept.maintainer.changing(store, number, old, new));
    }

    fn replacing(&mut self, store: &Store, numbers: Option<&[usize]>) {
        self.0.iter_mut().for_each(|kept| kept.maintainer.replacing(store, numbers));
    }

    fn replaced(&mut self, store: &Store) {
        self.0.iter_mut().for_each(|kept| kept.maintainer.replaced(store));
    }
}
