//! How eagerly to read. An eager reader makes a walsender spend most of its time on one `send` a message; one that lets
//! its receive window fill makes it gather messages, and gets twice as many. So: far behind, pause between reads; at the
//! tail of the stream, read at once. Pure: the clock comes in.

use std::time::{Duration, Instant};

/// Pause between reads while catching up.
pub const PAUSE: Duration = Duration::from_micros(500);
/// A stretch of reading that is judged as one.
const WINDOW: Duration = Duration::from_millis(10);
/// Bytes in a stretch from which on the stream is a backlog. Latency suffers by one pause only, so this is not delicate.
const BACKLOG_BYTES: usize = 128 << 10;

/// A backlog has ended when nothing came for this long.
const QUIET: Duration = Duration::from_millis(20);

/// Judges the last stretch of reading.
#[derive(Debug)]
pub struct Pace {
    since: Instant,
    bytes: usize,
    behind: bool,
}

impl Pace {
    /// At the tail, until shown otherwise.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, behind: false }
    }

    /// Notes a read; says whether to pause before the next.
    pub fn read(&mut self, bytes: usize, now: Instant) -> bool {
        self.bytes += bytes;
        if now.saturating_duration_since(self.since) >= WINDOW {
            self.behind = self.bytes >= BACKLOG_BYTES;
            self.bytes = 0;
            self.since = now;
        }
        self.behind
    }

    /// When a backlog will have ended if nothing more comes after `heard`; `None` at the tail.
    #[must_use]
    pub fn quiet_at(&self, heard: Instant) -> Option<Instant> {
        self.behind.then(|| heard + QUIET)
    }

    /// Whether a backlog has just ended. Says so once.
    pub fn has_caught_up(&mut self, heard: Instant, now: Instant) -> bool {
        let caught_up = self.quiet_at(heard).is_some_and(|quiet| now >= quiet);
        self.behind &= !caught_up;
        caught_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_backlog_makes_it_pause() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut read = |bytes, ms| pace.read(bytes, start + Duration::from_millis(ms));
        assert!(!read(64 << 10, 1));
        assert!(read(64 << 10, 11), "128 KiB in 11 ms is a backlog");
        assert!(read(1, 15));
        assert!(!read(1000, 30), "a trickle is not");
    }

    #[test]
    fn the_end_of_a_backlog_is_noticed_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(start);
        assert!(pace.read(1 << 20, at(10)));
        assert!(!pace.has_caught_up(at(10), at(29)));
        assert!(pace.has_caught_up(at(10), at(30)));
        assert!(!pace.has_caught_up(at(10), at(31)));
    }
}
