//! Relation messages that wait for a change of their table.
//!
//! With `publish_via_partition_root` the server announces the partitioned table *and* the leaf, and sends changes of the
//! former only. A leaf that reached the tape would look like one more table. So an announcement goes on the tape when the
//! first change names its table, and not before.

use std::collections::HashMap;

use crate::model::Lsn;

/// The announcements, by the OID they describe.
#[derive(Debug, Default)]
pub(super) struct HeldBack(HashMap<u32, (Lsn, Vec<u8>)>);

impl HeldBack {
    /// Takes `raw` if it is a Relation message, and says so.
    pub fn keeps(&mut self, wal_start: Lsn, raw: &[u8]) -> bool {
        let relation = raw.first() == Some(&b'R');
        if let (true, Some(id)) = (relation, oid(raw, 1)) {
            self.0.insert(id, (wal_start, raw.to_vec()));
        }
        relation
    }

    /// An announcement that must stand before the change `raw`; ask until there is none.
    pub fn needed_by(&mut self, raw: &[u8]) -> Option<(Lsn, Vec<u8>)> {
        if self.0.is_empty() {
            return None;
        }
        match raw.first()? {
            b'I' | b'U' | b'D' => self.0.remove(&oid(raw, 1)?),
            // T n:i32 options:u8 id:u32 x n
            b'T' => (6..raw.len()).step_by(4).find_map(|at| self.0.remove(&oid(raw, at)?)),
            _ => None,
        }
    }
}

fn oid(raw: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*raw.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, head: &[u8], ids: &[u32]) -> Vec<u8> {
        let ids = ids.iter().flat_map(|id| id.to_be_bytes());
        [tag].into_iter().chain(head.iter().copied()).chain(ids).collect()
    }

    #[test]
    fn a_table_is_announced_with_its_first_change_and_a_leaf_never() {
        let mut held = HeldBack::default();
        for id in [1, 2, 3] {
            assert!(held.keeps(Lsn(id.into()), &message(b'R', &[], &[id])));
        }
        assert!(!held.keeps(Lsn(9), &message(b'I', &[], &[1])));
        assert_eq!(held.needed_by(&message(b'I', &[], &[1])).map(|(lsn, _)| lsn), Some(Lsn(1)));
        assert_eq!(held.needed_by(&message(b'I', &[], &[1])), None);
        let truncate = message(b'T', &[0, 0, 0, 2, 0], &[7, 3]);
        assert_eq!(held.needed_by(&truncate).map(|(lsn, _)| lsn), Some(Lsn(3)));
        assert_eq!(held.needed_by(&truncate), None);
        assert_eq!(held.needed_by(b"C"), None);
        assert_eq!(held.0.len(), 1, "the leaf stays behind");
    }
}
