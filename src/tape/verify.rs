//! Checks every byte of a tape, frame by frame, without its lock.
//!
//! Invariant: writes nothing. The newest segment may grow meanwhile; what is in flight at its end is no damage.

use std::path::{Path, PathBuf};

use super::Error;
use super::format::{Fault, FrameKind, Header};
use super::info::segments;
use super::recover::start;
use super::scan::{Scan, State};
use super::window::{Found, Window};
use crate::model::Lsn;

/// What `verify` found in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments walked.
    pub segments: u64,
    /// Frames checked.
    pub frames: u64,
    /// Committed units.
    pub transactions: u64,
    /// Messages in them.
    pub messages: u64,
    /// Stretches of history that an operator agreed to lose.
    pub gaps: u64,
    /// Bytes that check out.
    pub bytes: u64,
    /// The tape's end.
    pub end: Lsn,
    /// Bytes at the end of the newest segment that are no whole frame: in flight, or torn.
    pub tail: Option<Tail>,
    /// Whether a unit at the end has not ended.
    pub unfinished: bool,
}

/// The end of the newest segment, where it is not a whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The segment's file.
    pub path: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// What is wrong.
    pub why: String,
}

/// Checks every byte of every segment, and that they are one chain. Damage but for the newest segment's tail is refused.
pub fn verify(dir: &Path) -> Result<Report, Error> {
    frames(dir, |_frame| {})
}

/// A frame, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameFacts {
    /// The segment's number.
    pub segment: u64,
    /// Where it begins in it.
    pub offset: u64,
    /// Its bytes there.
    pub bytes: u64,
    /// What it is: `segment`, `preamble`, `batch`, `part`, `commit`, `abandon`, `progress`, `intent`, `gap`, `footer`.
    pub kind: &'static str,
    /// Its number on the tape.
    pub sequence: u64,
    /// Its epoch.
    pub epoch: u32,
    /// The tape's end with it.
    pub end: Lsn,
    /// Committed units of the segment up to and with it.
    pub transactions: u64,
    /// Whether it is compressed.
    pub compressed: bool,
}

/// Walks all frames as [`verify`] does, and shows each to `visit`.
pub fn frames(dir: &Path, mut visit: impl FnMut(&FrameFacts)) -> Result<Report, Error> {
    let numbers = segments(dir)?;
    let newest = *numbers.last().expect("checked not to be empty");
    let (mut report, mut gaps) = (Report::default(), 0);
    let mut visit = |frame: &FrameFacts| {
        gaps += u64::from(frame.kind == FrameKind::Gap.name());
        visit(frame);
    };
    let mut before = None;
    for number in numbers {
        let mut window = Window::open(dir, number)?;
        let length = window.length()?;
        let (scan, fault) = walk_shown(&mut window, number, before.as_ref(), length, &mut visit)?;
        let tail = match (fault, number == newest) {
            (Some(fault), false) => return Err(Error::damaged(window.path(), scan.state.offset, fault)),
            (None, false) if !scan.state.sealed => {
                return Err(Error::damaged(window.path(), length, "the segment has no footer"));
            }
            (fault, _) => fault,
        };
        count(&mut report, &scan);
        report.tail = tail.map(|fault| Tail {
            path: window.path().to_owned(),
            offset: scan.state.offset,
            why: fault.to_string(),
        });
        before = Some(scan.state);
    }
    report.gaps = gaps;
    Ok(report)
}

fn count(report: &mut Report, scan: &Scan) {
    let state = &scan.state;
    report.segments += 1;
    report.frames += state.footer.frames + u64::from(state.sealed);
    report.transactions += state.footer.transactions;
    report.messages += state.footer.messages;
    report.bytes += state.offset;
    report.end = state.end;
    report.unfinished = scan.unfinished().is_some() || scan.pending_copy().is_some();
}

fn walk_shown(
    window: &mut Window,
    number: u64,
    before: Option<&State>,
    length: u64,
    visit: &mut impl FnMut(&FrameFacts),
) -> Result<(Scan, Option<Fault>), Error> {
    let mut scan = start(window, number, before, length)?;
    if let Found::Frame(header, _payload) = window.frame(0, length)? {
        visit(&facts(number, 0, &header, 0));
    }
    loop {
        let offset = scan.state.offset;
        match window.frame(offset, length)? {
            Found::Frame(header, payload) => {
                if let Err(fault) = scan.apply(&header, payload) {
                    return Ok((scan, Some(fault)));
                }
                visit(&facts(number, offset, &header, scan.state.footer.transactions));
            }
            Found::End => return Ok((scan, None)),
            Found::Bad(fault) => return Ok((scan, Some(fault))),
        }
    }
}

fn facts(segment: u64, offset: u64, header: &Header, transactions: u64) -> FrameFacts {
    let compressed = header.raw != header.stored;
    let (kind, bytes) = (FrameKind::name(header.kind), header.frame_bytes());
    let Header { sequence, epoch, end, .. } = *header;
    FrameFacts { segment, offset, bytes, kind, sequence, epoch, end, transactions, compressed }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open, unit};
    use super::super::{Kind, Usage, Watermark, disk, info, usage};
    use super::*;

    #[test]
    fn a_tape_tells_what_it_holds_and_where_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        assert!(info(dir.path()).unwrap_err().to_string().contains("there is no tape"));
        let (mut writer, _) = open(dir.path());
        unit(&mut writer, Kind::Stream, 10, &[b"I", b"I"]);
        unit(&mut writer, Kind::Stream, 20, &[&[1; 9000]]);
        writer.roll(&[bytes::Bytes::from_static(b"R")]).unwrap();
        unit(&mut writer, Kind::Stream, 30, &[b"I"]);
        writer.sync().unwrap();
        let info = info(dir.path()).unwrap();
        let found: Vec<_> =
            info.segments.iter().map(|s| (s.sealed, s.transactions, s.messages, s.base.0, s.last.0)).collect();
        assert_eq!(found, [(true, 2, 3, 0, 20), (false, 1, 1, 20, 30)]);
        assert_eq!((info.oldest, info.newest, info.segments[0].times_us), (Lsn(0), Lsn(30), (9, 19)));
        assert_eq!(usage(dir.path()).unwrap(), Usage { segments: 2, bytes: info.bytes, oldest: Lsn(0) });
        let mut kinds = Vec::new();
        let report = frames(dir.path(), |frame| kinds.push(frame.kind)).unwrap();
        assert_eq!(kinds, ["segment", "batch", "part", "commit", "footer", "segment", "preamble", "batch"]);
        assert_eq!((report.frames, report.transactions, report.bytes, report.tail), (8, 3, info.bytes, None));
        assert_eq!(Watermark::scan(dir.path()).unwrap().lsn(), Lsn(30));

        let flip = |number, at: usize| {
            let path = disk::segment_path(dir.path(), number);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        };
        flip(2, 300);
        assert!(verify(dir.path()).unwrap().tail.is_some());
        flip(2, 300);
        flip(1, 300);
        let error = verify(dir.path()).unwrap_err().to_string();
        assert!(error.contains("000000000001.tape is damaged at offset"), "{error}");
    }
}
