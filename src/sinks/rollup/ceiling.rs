//! Groups whose sums the target's columns cannot hold: they are kept out of the target as a whole, and listed, until the
//! sums fit again. Each value fits, so no row is to blame; writing part of a sum would be a silent change of value.
//!
//! Only for targets with bounded columns, which must have few groups: their sums are all kept here.

use super::contract::{GroupKey, Target};
use super::deltas::{Deltas, Sum};
use crate::sinks::standby::Note;

/// The sums of all groups, and what of them the target may be told.
#[derive(Debug)]
pub(super) struct Ceiling {
    target: Target,
    digits_max: u64,
    totals: Deltas,
}

impl Ceiling {
    /// For a target with bounded columns; `None` for others.
    pub(super) fn new(target: &Target) -> Option<Self> {
        Some(Self { target: target.clone(), digits_max: target.digits_max?, totals: Deltas::default() })
    }

    /// The sums are these.
    pub(super) fn set(&mut self, totals: Deltas) {
        self.totals = totals;
    }

    /// The sums move by `moved`: what the target is told of that.
    pub(super) fn admit(&mut self, moved: &Deltas, notes: &mut Vec<Note>) -> Deltas {
        let mut told = Deltas::default();
        for (group, _) in moved.iter() {
            self.tell(group, false, &mut told);
        }
        let over = |ceiling: &Self| -> Vec<GroupKey> {
            moved.iter().map(|(group, _)| group).filter(|group| !ceiling.fits(group)).cloned().collect()
        };
        let before = over(self);
        self.totals.merge(moved, true);
        let after = over(self);
        for (group, _) in moved.iter() {
            self.tell(group, true, &mut told);
        }
        notes.extend(before.iter().filter(|group| !after.contains(group)).map(|group| self.note(group, false)));
        notes.extend(after.iter().map(|group| self.note(group, true)));
        told
    }

    fn tell(&self, group: &GroupKey, add: bool, told: &mut Deltas) {
        if let Some(sum) = self.totals.get(group).filter(|_| self.fits(group)) {
            told.merge_one(group, sum, add);
        }
    }

    fn fits(&self, group: &GroupKey) -> bool {
        self.totals.get(group).is_none_or(|sum| fits(sum, self.digits_max))
    }

    fn note(&self, group: &GroupKey, over: bool) -> Note {
        let names = self.target.keys.iter().chain(&self.target.measures).map(|(name, _)| (*name).to_owned());
        let sums = self.totals.get(group).into_iter().flat_map(|sum| &sum.measures).map(|m| m.to_plain_string());
        let values = group.parts().map(str::to_owned).chain(sums).map(Some);
        Note {
            table: self.target.table.clone(),
            key: group.parts().map(|part| Some(part.to_owned())).collect(),
            row: if over { names.zip(values).collect() } else { Vec::new() },
            why: over.then(|| format!("a sum of this group has more than {} digits", self.digits_max)),
        }
    }
}

/// Whether the sum fits columns with so many digits before the point.
fn fits(sum: &Sum, digits_max: u64) -> bool {
    sum.measures.iter().all(|m| m.with_scale(0).digits() <= digits_max)
}

/// What of the content a target can hold.
pub(super) fn cut(content: Deltas, target: &Target) -> Deltas {
    match target.digits_max {
        None => content,
        Some(digits_max) => content.filtered(|sum| fits(sum, digits_max)),
    }
}
