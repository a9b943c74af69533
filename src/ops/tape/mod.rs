//! Looking at the tape: what it holds, whether it checks out, what is written on it. Reads beside a running service.

mod cat;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::model::Lsn;
use crate::refusal::Refusal;
use crate::tape;

pub use cat::{Range, Totals, cat};

/// What the tape holds.
#[derive(Debug, Serialize)]
pub struct Info {
    /// The name of the tape.
    pub tape_id: String,
    /// The cluster's system identifier; text, since it does not fit a double.
    pub system_id: String,
    /// The timeline that was streamed last.
    pub timeline: u32,
    /// OID of the database.
    pub database_oid: u32,
    /// The slot.
    pub slot: String,
    /// The epoch; 0 until a first copy has ended.
    pub epoch: u32,
    /// Position of the epoch's copy.
    pub copy_point: Lsn,
    /// Everything after this is held.
    pub oldest: Lsn,
    /// The end.
    pub newest: Lsn,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Committed units.
    pub transactions: u64,
    /// The segments, oldest first.
    pub segments: Vec<Segment>,
}

/// What a segment holds.
#[derive(Debug, Serialize)]
pub struct Segment {
    /// Its file.
    pub file: String,
    /// Bytes that check out.
    pub bytes: u64,
    /// Whether it is complete.
    pub sealed: bool,
    /// Committed units.
    pub transactions: u64,
    /// The tape's end before it.
    pub after: Lsn,
    /// The tape's end with it.
    pub last: Lsn,
    /// Earliest commit time; null without a unit.
    pub earliest: Option<String>,
    /// Latest commit time; null without a unit.
    pub latest: Option<String>,
}

/// Reads heads and footers of the tape in `dir`.
pub fn info(dir: &Path) -> Result<Info, Refusal> {
    let info = tape::info(dir).map_err(tape::Error::into_refusal)?;
    let segments: Vec<Segment> = info.segments.iter().map(segment).collect();
    Ok(Info {
        tape_id: info.tape_id.to_string(),
        system_id: info.origin.system_id.to_string(),
        timeline: info.origin.timeline,
        database_oid: info.origin.database_oid,
        slot: info.origin.slot,
        epoch: info.epoch,
        copy_point: info.copy_point,
        oldest: info.oldest,
        newest: info.newest,
        bytes: info.bytes,
        transactions: segments.iter().map(|s| s.transactions).sum(),
        segments,
    })
}

fn segment(segment: &tape::SegmentInfo) -> Segment {
    let time = |us: i64| (segment.transactions > 0).then(|| time_text(us));
    Segment {
        file: segment.path.display().to_string(),
        bytes: segment.bytes,
        sealed: segment.sealed,
        transactions: segment.transactions,
        after: segment.base,
        last: segment.last,
        earliest: time(segment.times_us.0),
        latest: time(segment.times_us.1),
    }
}

/// A commit time as RFC 3339.
fn time_text(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |time| time.to_string())
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tape       {} of system {}, slot {}", self.tape_id, self.system_id, self.slot)?;
        writeln!(f, "epoch      {} (copied at {})", self.epoch, self.copy_point)?;
        writeln!(f, "holds      after {} up to {}", self.oldest, self.newest)?;
        writeln!(
            f,
            "size       {} bytes, {} transactions, {} segments",
            self.bytes,
            self.transactions,
            self.segments.len()
        )?;
        for segment in &self.segments {
            let state = if segment.sealed { "sealed" } else { "open" };
            let since = segment.earliest.as_deref().unwrap_or("-");
            writeln!(
                f,
                "  {}  {state:>6}  {} bytes  {} transactions  up to {}  since {since}",
                segment.file, segment.bytes, segment.transactions, segment.last
            )?;
        }
        Ok(())
    }
}

/// How a check of every byte came out.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Always true: damage is refused.
    pub ok: bool,
    /// Files read.
    pub segments: u64,
    /// Frames checked.
    pub frames: u64,
    /// Committed units.
    pub transactions: u64,
    /// Stretches of history that an operator agreed to lose; `tape cat` shows where and why.
    pub gaps: u64,
    /// Bytes that check out.
    pub bytes: u64,
    /// The end.
    pub end: Lsn,
    /// What stands after the last whole frame: in flight, or torn by a crash and cut at the next start.
    pub tail: Option<String>,
}

/// Reads every byte of the tape in `dir` and checks it; refuses damage, naming file and offset.
pub fn verify(dir: &Path) -> Result<Verified, Refusal> {
    let report = tape::verify(dir).map_err(tape::Error::into_refusal)?;
    let tail = report.tail.map(|t| format!("{} at offset {}: {}", t.path.display(), t.offset, t.why));
    let tape::Report { segments, frames, transactions, gaps, bytes, end, .. } = report;
    Ok(Verified { ok: true, segments, frames, transactions, gaps, bytes, end, tail })
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} segments, {} frames, {} transactions, {} bytes: all check out up to {}",
            self.segments, self.frames, self.transactions, self.bytes, self.end
        )?;
        if self.gaps > 0 {
            write!(f, "\n{} gaps: history that an operator agreed to lose (tape cat shows where)", self.gaps)?;
        }
        self.tail.iter().try_for_each(|tail| write!(f, "\nafter the last whole frame (in flight, or torn): {tail}"))
    }
}
