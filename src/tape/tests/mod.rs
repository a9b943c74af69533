//! Tests of the tape as a whole, on real files. A model of what was appended says what must be read.

mod behaviour;
mod crash;
#[cfg(feature = "failpoints")]
mod failpoints;

use std::path::Path;

use super::*;
use crate::model::{Lsn, Position};

/// What a reader delivered, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Preamble(Vec<Vec<u8>>),
    Unit(Kind, Lsn, Vec<(u64, Vec<u8>)>),
    Progress(Lsn),
    Gap(Lsn, Lsn),
}

pub(crate) fn origin() -> Origin {
    Origin { system_id: 7, timeline: 1, database_oid: 5, fingerprint: 11, slot: "pgtape".into() }
}

pub(crate) fn options() -> Options {
    Options {
        segment_bytes: 4096,
        frame_bytes: 600,
        compress: true,
        reserve_bytes: 0,
        new_tape: TapeId([7; 16]),
        watermark: None,
    }
}

pub(crate) fn open(dir: &Path) -> (Writer, Recovered) {
    Writer::open(dir, options(), origin(), &Proof::NONE).unwrap()
}

pub(crate) fn begin(kind: Kind, lsn: u64) -> Begin {
    let tables = if matches!(kind, Kind::Copy | Kind::Refresh) { vec!["a.b".to_owned()] } else { Vec::new() };
    Begin { kind, xid: 9, begin_lsn: Lsn(lsn), commit_time_us: i64::try_from(lsn).unwrap(), tables }
}

/// Appends a unit that ends at `lsn` with these messages.
pub(crate) fn unit(writer: &mut Writer, kind: Kind, lsn: u64, messages: &[&[u8]]) {
    writer.begin(begin(kind, lsn - 1)).unwrap();
    messages.iter().for_each(|message| writer.push(Lsn(lsn - 1), message).unwrap());
    writer.commit(Lsn(lsn - 1), Lsn(lsn)).unwrap();
}

/// What `unit` makes a reader see.
pub(crate) fn seen(kind: Kind, lsn: u64, messages: &[&[u8]]) -> Seen {
    Seen::Unit(kind, Lsn(lsn), messages.iter().map(|message| (lsn - 1, message.to_vec())).collect())
}

/// Reads until the reader has no more.
pub(crate) fn drain(reader: &mut Reader) -> Result<Vec<Seen>, Error> {
    let mut all = Vec::new();
    while let Some(entry) = reader.next()? {
        all.push(match entry {
            Entry::Preamble(mut messages) => {
                let mut found = Vec::new();
                while let Some((_wal_start, message)) = messages.next_message()? {
                    found.push(message.to_vec());
                }
                Seen::Preamble(found)
            }
            Entry::Transaction(mut transaction) => {
                let mut found = Vec::new();
                while let Some((wal_start, message)) = transaction.next_message()? {
                    found.push((wal_start.0, message.to_vec()));
                }
                let head = transaction.head();
                assert_eq!(head.messages, u64::try_from(found.len()).unwrap());
                Seen::Unit(head.kind, head.end_lsn, found)
            }
            Entry::Progress(lsn) => Seen::Progress(lsn),
            Entry::Gap(gap) => Seen::Gap(gap.from, gap.to),
        });
    }
    Ok(all)
}

/// Everything after `lsn`, as far as it is durable.
pub(crate) fn read(dir: &Path, lsn: u64, watermark: &Watermark) -> Result<Vec<Seen>, Error> {
    drain(&mut Reader::open(dir, Position::whole(Lsn(lsn)), watermark.clone())?)
}

pub(crate) fn refusal(result: Result<(Writer, Recovered), Error>) -> crate::refusal::Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        Err(other) => panic!("no refusal: {other}"),
        Ok((_writer, recovered)) => panic!("not refused: {recovered:?}"),
    }
}
