//! Sums of contributions by group: exact, and merged without loss, so that any number of changes makes one transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bigdecimal::{BigDecimal, Zero};

use super::contract::{Contributions, GroupKey};

/// What is added to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// One number for each measure of the target.
    pub measures: Vec<BigDecimal>,
    /// How many contributions more.
    pub contributions: i64,
}

impl Sum {
    fn is_zero(&self) -> bool {
        self.contributions == 0 && self.measures.iter().all(BigDecimal::is_zero)
    }

    fn merge(&mut self, other: &Sum, add: bool) {
        for (mine, theirs) in self.measures.iter_mut().zip(&other.measures) {
            if add { *mine += theirs } else { *mine -= theirs }
        }
        self.contributions += if add { other.contributions } else { -other.contributions };
    }
}

/// What is added to the groups of a target. Groups to which nothing is added are not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deltas {
    groups: HashMap<GroupKey, Sum>,
    bytes: usize,
}

/// Memory that a group takes beside its name, bytes: an estimate.
const GROUP_BYTES: usize = 256;

impl Deltas {
    /// Adds contributions, or takes them back.
    pub fn count(&mut self, contributions: &Contributions, add: bool) {
        for (group, measures) in &contributions.sums {
            self.merge_one(group, &Sum { measures: measures.clone(), contributions: 1 }, add);
        }
    }

    /// Adds a group as it stands.
    pub fn put(&mut self, group: GroupKey, measures: Vec<BigDecimal>, contributions: i64) {
        self.merge_one(&group, &Sum { measures, contributions }, true);
    }

    /// Adds other deltas, or takes them back.
    pub fn merge(&mut self, other: &Deltas, add: bool) {
        other.groups.iter().for_each(|(group, sum)| self.merge_one(group, sum, add));
    }

    /// What is added to a group.
    pub(super) fn get(&self, group: &GroupKey) -> Option<&Sum> {
        self.groups.get(group)
    }

    /// The groups whose sum is wanted.
    pub(super) fn filtered(&self, wanted: impl Fn(&Sum) -> bool) -> Self {
        let mut kept = Self::default();
        self.iter().filter(|(_, sum)| wanted(sum)).for_each(|(group, sum)| kept.merge_one(group, sum, true));
        kept
    }

    pub(super) fn merge_one(&mut self, group: &GroupKey, sum: &Sum, add: bool) {
        match self.groups.entry(group.clone()) {
            Entry::Occupied(mut entry) => {
                entry.get_mut().merge(sum, add);
                if entry.get().is_zero() {
                    self.bytes -= group.0.len() + GROUP_BYTES;
                    entry.remove();
                }
            }
            Entry::Vacant(entry) => {
                let mut made = Sum { measures: vec![BigDecimal::zero(); sum.measures.len()], contributions: 0 };
                made.merge(sum, add);
                if !made.is_zero() {
                    self.bytes += group.0.len() + GROUP_BYTES;
                    entry.insert(made);
                }
            }
        }
    }

    /// Whether nothing is added anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Memory, bytes: an estimate.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The groups, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupKey, &Sum)> {
        self.groups.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contributions(of: &[(&str, i64)]) -> Contributions {
        let mut all = Contributions::default();
        of.iter().for_each(|(group, n)| all.add(GroupKey::new(&[group]), vec![BigDecimal::from(*n)]));
        all
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        let mut deltas = Deltas::default();
        deltas.count(&contributions(&[("a", 5), ("b", 1), ("a", -2)]), true);
        assert_eq!(deltas.len(), 2);
        deltas.count(&contributions(&[("b", 1)]), false);
        let left: Vec<_> = deltas.iter().collect();
        assert_eq!(left, [(&GroupKey::new(&["a"]), &Sum { measures: vec![3.into()], contributions: 2 })]);
        // A sum of 0 with contributions stays: the group is there.
        deltas.count(&contributions(&[("a", -3)]), true);
        assert_eq!(deltas.len(), 1);
        let all = deltas.clone();
        deltas.merge(&all, false);
        assert!(deltas.is_empty() && deltas.bytes() == 0);
    }
}
