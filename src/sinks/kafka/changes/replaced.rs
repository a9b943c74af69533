//! Tables that are emptied: by TRUNCATE, and by a copy that replaces their rows.

use super::settings::Truncate;
use super::{Change, Changes, Error, Out, Spot};
use crate::model::{Lsn, Position};
use crate::pgoutput::{Logical, OldKind};
use crate::tape::{Head, Kind};

/// Prefix of the message that tells of a new epoch.
const EPOCH_MESSAGE: &str = "pgtape.epoch";

/// Where the records of an emptied table stand.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Position,
    /// The number of the first among all records at that position.
    pub(super) part: u64,
}

impl Changes {
    /// A copy begins: what was produced of its tables holds no more, and its rows follow.
    pub(super) fn replace(&mut self, head: &Head, out: &mut dyn Out) -> Result<(), Error> {
        let before = self.unit.before;
        // The rows that a sink begins with replace nothing, and name no tables.
        let replaces = head.kind == Kind::Copy && before > Position::ZERO && !head.tables.is_empty();
        if replaces && self.settings.messages {
            let content = serde_json::json!({ "epoch": head.epoch, "tables": head.tables }).to_string();
            let told =
                Logical { transactional: false, lsn: head.end_lsn, prefix: EPOCH_MESSAGE, content: content.as_bytes() };
            self.records.clear();
            let mut stamp = self.unit.stamp(head.end_lsn, None);
            stamp.place.xid = None;
            let topic = self.topics.messages.clone();
            self.writer.put_message(&topic, &told, &stamp, &mut self.records)?;
            self.aside(&topic, before, out)?;
        }
        let known: Vec<u32> =
            self.relations.iter().filter(|r| head.tables.contains(&r.table.to_string())).map(|r| r.id).collect();
        // Tables may share a topic: their records at the same position are numbered through.
        let mut part = 0;
        for id in known {
            part = self.empty(id, head.end_lsn, before, Place { at: before, part }, out)?;
        }
        Ok(())
    }

    /// The table with this OID lost all its rows by the change at `position`; its records stand at `place`. Returns the part
    /// after theirs.
    pub(super) fn empty(
        &mut self,
        id: u32,
        lsn: Lsn,
        position: Position,
        place: Place,
        out: &mut dyn Out,
    ) -> Result<u64, Error> {
        let Some(route) = self.route(id)?.cloned() else { return Ok(place.part) };
        let table = route.relation.table.clone();
        // Names the change: a copy that replaces rows stands at its unit, not before it.
        let by = if position.lsn == self.unit.end_lsn { position } else { Position::at(self.unit.end_lsn, 0) };
        if self.catching_up && self.stopped.has(&table, by) {
            return Ok(place.part);
        }
        match self.settings.truncate {
            Truncate::Skip => Ok(place.part),
            // Who let the topic go on has emptied what was made of it; what emptied it after that is another matter.
            Truncate::Stop if self.catching_up && self.stopped.was_emptied_by(&table, by) => Ok(place.part),
            Truncate::Event => {
                self.records.clear();
                let stamp = self.unit.stamp(lsn, self.number(&table));
                let events = route.put_truncate(&stamp, &mut self.records);
                self.numbers.count(Some(&table), events);
                let spot = Spot { table: &table, topic: &route.topic, at: place.at, part: place.part };
                self.give(spot, out)?;
                Ok(place.part + events)
            }
            Truncate::Stop => {
                let why = format!(
                    "the table was emptied at {position}, which who reads this topic cannot follow: empty what was made \
                     of it, then run: pgtape kafka resume"
                );
                self.stop_topic(&table, why, Some(by));
                Ok(place.part)
            }
            Truncate::Deletes => self.delete_all(&route, lsn, position, place, out),
        }
    }

    fn delete_all(
        &mut self,
        route: &super::Route,
        lsn: Lsn,
        position: Position,
        Place { at, mut part }: Place,
        out: &mut dyn Out,
    ) -> Result<u64, Error> {
        let table = route.relation.table.clone();
        let Some(rows_before) = self.settings.rows_before.clone() else {
            let why = format!("the table was emptied at {position}, and its rows are not known here");
            self.stop_topic(&table, why, None);
            return Ok(part);
        };
        let found = rows_before.rows(&table, position, &mut |row| {
            self.records.clear();
            let stamp = self.unit.stamp(lsn, self.number(&table));
            let spot = Spot { table: &table, topic: &route.topic, at, part };
            let deleted = Change::Delete(OldKind::Full, row);
            match route.put(deleted, &stamp, &mut self.scratch, &mut self.records) {
                Ok(events) => self.numbers.count(Some(&table), events),
                Err(unfit) => {
                    part += 1;
                    return self.unfit(spot, &unfit.to_string(), out);
                }
            }
            part += self.records.iter().len() as u64;
            self.give(spot, out)
        });
        match found {
            Err(Error::Refused(refusal)) => {
                self.stop_topic(&table, format!("the table was emptied at {position}: {refusal}"), None);
                Ok(part)
            }
            found => found.map(|()| part),
        }
    }
}
