//! From a time to a position.

use std::path::Path;

use super::{Entry, Error, Head, Reader, Watermark, info};
use crate::model::{Lsn, Position};

/// The first unit at or after a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtTime {
    /// Its facts.
    pub head: Head,
    /// Everything before it ends here: the position to rewind to, to see it again.
    pub before: Lsn,
}

/// The first unit in the tape's order whose commit time is at or after `time_us` (microseconds since the Unix epoch);
/// `None` if all are earlier. Commit times are those of the server's clock and need not grow with positions.
pub fn first_at_or_after(dir: &Path, watermark: &Watermark, time_us: i64) -> Result<Option<AtTime>, Error> {
    for segment in info(dir)?.segments {
        let (_earliest, latest) = segment.times_us;
        if segment.transactions == 0 || latest < time_us {
            continue;
        }
        let mut reader = Reader::open(dir, Position::whole(segment.base), watermark.clone())?;
        let mut before = segment.base;
        while before < segment.last {
            match reader.next()? {
                Some(Entry::Transaction(transaction)) if transaction.head().commit_time_us >= time_us => {
                    return Ok(Some(AtTime { head: transaction.head().clone(), before }));
                }
                Some(Entry::Transaction(_) | Entry::Preamble(_) | Entry::Progress(_) | Entry::Gap(_)) => {}
                None => break,
            }
            before = reader.position();
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::tests::{open, unit};
    use super::*;

    #[test]
    fn a_time_is_found_in_any_segment() {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, _) = open(dir.path());
        for lsn in [10, 20, 30, 40] {
            unit(&mut writer, Kind::Stream, lsn, &[b"I"]);
            if lsn == 20 {
                writer.roll(&[]).unwrap();
            }
        }
        writer.sync().unwrap();
        // The commit time of each is its LSN less one.
        let check = |time, want: Option<(u64, u64)>| {
            let found = first_at_or_after(dir.path(), &writer.watermark(), time).unwrap();
            assert_eq!(found.map(|found| (found.head.end_lsn.0, found.before.0)), want, "{time}");
        };
        check(i64::MIN, Some((10, 0)));
        check(9, Some((10, 0)));
        check(10, Some((20, 10)));
        check(20, Some((30, 20)));
        check(39, Some((40, 30)));
        check(40, None);
    }
}
