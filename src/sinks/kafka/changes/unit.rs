//! The unit of the tape that is being produced, and what its records say of it.

use super::snapshot_of;
use crate::model::{Lsn, Position};
use crate::sinks::kafka::json::{InTransaction, Place, Stamp};
use crate::tape::{Head, Kind};

/// The unit at hand.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) kind: Kind,
    pub(super) xid: u32,
    pub(super) end_lsn: Lsn,
    pub(super) commit_time_us: i64,
    /// Everything before the unit.
    pub(super) before: Position,
    /// Name and LSN of where it was replicated from.
    pub(super) origin: Option<(String, Lsn)>,
    begin_lsn: Lsn,
    last_commit: Option<Lsn>,
    written_us: i64,
}

impl Unit {
    /// None yet; the sink stands at `position`.
    pub(super) fn after(position: Position, last_commit: Option<Lsn>) -> Self {
        Self {
            kind: Kind::Stream,
            xid: 0,
            end_lsn: position.lsn,
            commit_time_us: 0,
            before: position,
            origin: None,
            begin_lsn: position.lsn,
            last_commit,
            written_us: 0,
        }
    }

    pub(super) fn begin(&mut self, head: &Head, now_us: i64) {
        self.kind = head.kind;
        self.xid = head.xid;
        self.end_lsn = head.end_lsn;
        self.begin_lsn = head.begin_lsn;
        self.commit_time_us = head.commit_time_us;
        self.origin = None;
        self.written_us = now_us;
    }

    pub(super) fn end(&mut self, head: &Head) {
        self.before = Position::whole(head.end_lsn);
        if head.kind == Kind::Stream {
            self.last_commit = Some(head.end_lsn);
        }
    }

    /// The LSN of a change, where the tape does not know it that of its transaction.
    pub(super) fn own(&self, lsn: Lsn) -> Lsn {
        if lsn == Lsn::ZERO { self.begin_lsn } else { lsn }
    }

    /// What a record of a change at `lsn` says besides its row.
    pub(super) fn stamp(&self, lsn: Lsn, transaction: Option<InTransaction>) -> Stamp<'_> {
        let place = Place {
            commit_time_us: self.commit_time_us,
            snapshot: snapshot_of(self.kind),
            last_commit: self.last_commit,
            lsn: self.own(lsn),
            xid: (self.xid != 0).then_some(self.xid),
            origin: self.origin.as_ref().map(|(name, lsn)| (name.as_str(), *lsn)),
        };
        Stamp { place, written_us: self.written_us, transaction }
    }
}
