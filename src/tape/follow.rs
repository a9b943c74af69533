//! The end of a tape as it grows, for a process that is not its writer.
//!
//! Invariant: the watermark covers whole frames that check out, and each frame is walked once. What another process has
//! fsynced cannot be seen from outside: a commit may be shown the moment before it is durable.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::info::{segments, walk_newest};
use super::scan::{Scan, State};
use super::window::{Found, Window};
use super::{End, Error, Watermark, disk};

/// Walks after the writer of a tape.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    number: u64,
    window: Window,
    scan: Scan,
    /// Grows when the tape was looked at anew: something that never counted may have been cut.
    writer: u64,
    /// Where a look met no good frame, and how long the segment was then.
    stuck: Option<(u64, u64)>,
    watermark: Watermark,
}

impl Follower {
    /// Walks to the end of the tape in `dir`.
    pub fn start(dir: &Path) -> Result<Self, Error> {
        let number = *segments(dir)?.last().expect("checked not to be empty");
        let (window, scan, _tail) = walk_newest(dir, number)?;
        let watermark = Watermark::new(end(number, &scan.state, 0));
        Ok(Self { dir: dir.to_owned(), number, window, scan, writer: 0, stuck: None, watermark })
    }

    /// The end as of the last look.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        self.watermark.clone()
    }

    /// Looks at what has been appended since.
    pub fn look(&mut self) -> Result<(), Error> {
        let path = disk::segment_path(&self.dir, self.number);
        let length = match std::fs::metadata(&path) {
            Ok(found) => found.len(),
            // Retention has overtaken us.
            Err(error) if error.kind() == ErrorKind::NotFound => return self.look_anew(),
            Err(error) => return Err(Error::io("look at", &path, error)),
        };
        if length < self.scan.state.offset {
            return self.look_anew();
        }
        self.window.forget();
        while let Found::Frame(header, payload) = self.window.frame(self.scan.state.offset, length)? {
            if self.scan.apply(&header, payload).is_err() {
                break;
            }
        }
        let State { offset, sealed, .. } = self.scan.state;
        if sealed && self.next_segment()? {
            return self.look();
        }
        if !sealed && offset < length {
            // A frame that is being written is whole at the next look. If the file grows and that frame stays bad, what
            // stood here was cut and written over.
            let before = self.stuck.replace((offset, length));
            if before.is_some_and(|(at, then)| at == offset && then != length) {
                return self.look_anew();
            }
        }
        self.watermark.set(end(self.number, &self.scan.state, self.writer));
        Ok(())
    }

    /// Whether there is a next segment, with a whole head, that goes on where this one ends.
    fn next_segment(&mut self) -> Result<bool, Error> {
        let number = self.number + 1;
        if !disk::segment_path(&self.dir, number).exists() {
            return Ok(false);
        }
        let mut window = Window::open(&self.dir, number)?;
        let length = window.length()?;
        let Found::Frame(header, payload) = window.frame(0, length)? else { return Ok(false) };
        let Ok(scan) = Scan::start(number, Some(&self.scan.state), &header, payload) else { return Ok(false) };
        (self.number, self.window, self.scan) = (number, window, scan);
        Ok(true)
    }

    fn look_anew(&mut self) -> Result<(), Error> {
        let found = Self::start(&self.dir)?;
        (self.number, self.window, self.scan) = (found.number, found.window, found.scan);
        self.writer += 1;
        self.watermark.set(end(self.number, &self.scan.state, self.writer));
        Ok(())
    }
}

fn end(segment: u64, state: &State, writer: u64) -> End {
    let State { end: lsn, epoch, offset, .. } = *state;
    End { lsn, epoch, segment, offset, writer }
}
