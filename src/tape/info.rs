//! What a tape holds, for a process that need not be its writer. Writes nothing, takes no lock.

use std::path::{Path, PathBuf};

use super::format::Fault;
use super::recover::{sealed_end, start, walk};
use super::scan::{Scan, State};
use super::window::Window;
use super::{Error, Follower, Origin, TapeId, Watermark, disk};
use crate::model::{Lsn, Position};
use crate::refusal::{Kind, Refusal};

/// What a tape holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The tape.
    pub tape_id: TapeId,
    /// The origin of the newest segment.
    pub origin: Origin,
    /// The epoch; 0 until a first copy has been committed.
    pub epoch: u32,
    /// Position of the epoch's copy.
    pub copy_point: Lsn,
    /// Everything after this is held.
    pub oldest: Lsn,
    /// The end.
    pub newest: Lsn,
    /// Bytes of all segments.
    pub bytes: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentInfo>,
}

impl Info {
    /// Refuses a position that the tape cannot be read on from.
    pub fn refuse_outside(&self, to: Lsn) -> Result<(), Refusal> {
        if (self.oldest..=self.newest).contains(&to) {
            return Ok(());
        }
        let whole = Position::whole;
        let what = format!("the tape does not hold what follows {}", whole(to));
        let hint = format!("it goes from {} to {}", whole(self.oldest), whole(self.newest));
        Err(Refusal::new(Kind::Usage, what, hint))
    }
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// Bytes of it that check out (of a sealed one: its length).
    pub bytes: u64,
    /// Whether it has its footer.
    pub sealed: bool,
    /// Committed units in it.
    pub transactions: u64,
    /// Messages in them.
    pub messages: u64,
    /// The tape's end before it.
    pub base: Lsn,
    /// The tape's end after it.
    pub last: Lsn,
    /// Earliest and latest commit time, microseconds since the Unix epoch; zero without a unit.
    pub times_us: (i64, i64),
}

/// Reads heads and footers, and walks the newest segment.
pub fn info(dir: &Path) -> Result<Info, Error> {
    let numbers = segments(dir)?;
    let (&newest, sealed) = numbers.split_last().expect("checked not to be empty");
    let mut infos = Vec::new();
    for &number in sealed {
        let mut window = Window::open(dir, number)?;
        let state = sealed_end(&mut window, number, None)?;
        let base = start(&mut window, number, None, state.offset)?.head.base;
        infos.push(segment_info(&window, number, base, &state));
    }
    let (window, scan, _tail) = walk_newest(dir, newest)?;
    infos.push(segment_info(&window, newest, scan.head.base, &scan.state));
    Ok(Info {
        tape_id: scan.state.chain.tape,
        origin: scan.head.origin,
        epoch: scan.state.epoch,
        copy_point: scan.state.copy_point,
        oldest: infos[0].base,
        newest: scan.state.end,
        bytes: infos.iter().map(|segment| segment.bytes).sum(),
        segments: infos,
    })
}

fn segment_info(window: &Window, number: u64, base: Lsn, state: &State) -> SegmentInfo {
    SegmentInfo {
        number,
        path: window.path().to_owned(),
        bytes: state.offset,
        sealed: state.sealed,
        transactions: state.footer.transactions,
        messages: state.footer.messages,
        base,
        last: state.end,
        times_us: state.footer.times_us,
    }
}

/// What a tape takes on its disk: cheap enough to ask every second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Number of segments.
    pub segments: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Everything after this is held.
    pub oldest: Lsn,
}

/// Counts files and reads one head.
pub fn usage(dir: &Path) -> Result<Usage, Error> {
    let mut usage = Usage { segments: 0, bytes: 0, oldest: super::reader::oldest_base(dir)? };
    for number in disk::segments(dir)? {
        let path = disk::segment_path(dir, number);
        // Retention may have taken it meanwhile.
        let Ok(found) = std::fs::metadata(&path) else { continue };
        usage.segments += 1;
        usage.bytes += found.len();
    }
    Ok(usage)
}

pub(crate) fn segments(dir: &Path) -> Result<Vec<u64>, Error> {
    let numbers = if dir.exists() { disk::segments(dir)? } else { Vec::new() };
    if numbers.is_empty() {
        let what = format!("there is no tape in {}", dir.display());
        return Err(Refusal::new(Kind::Tape, what, "check --data-dir; `pgtape run` makes the tape").into());
    }
    Ok(numbers)
}

/// Walks the newest segment as far as it checks out.
pub(crate) fn walk_newest(dir: &Path, number: u64) -> Result<(Window, Scan, Option<Fault>), Error> {
    let mut window = Window::open(dir, number)?;
    let length = window.length()?;
    let (scan, fault) = walk(&mut window, number, None, length)?;
    Ok((window, scan, fault))
}

impl Watermark {
    /// The end of a tape for a process that is not its writer, as far as its bytes check out now. It never changes;
    /// [`Follower`] goes on.
    pub fn scan(dir: &Path) -> Result<Self, Error> {
        Follower::start(dir).map(|follower| follower.watermark())
    }
}
