//! Where on the tape a position lies.

use std::path::Path;

use crate::model::Lsn;
use crate::tape::recover::start;
use crate::tape::window::Window;
use crate::tape::{End, Error, disk};

/// The newest segment that begins at or before `after`.
pub(super) fn segment_of(dir: &Path, after: Lsn, end: End) -> Result<(u64, Window), Error> {
    let mut oldest = Lsn::ZERO;
    if after <= end.lsn {
        for number in disk::segments(dir)?.into_iter().rev().filter(|number| *number <= end.segment) {
            let mut window = Window::open(dir, number)?;
            let length = window.length()?;
            oldest = start(&mut window, number, None, length)?.head.base;
            if oldest <= after {
                return Ok((number, window));
            }
        }
    }
    Err(Error::Outside { after, oldest, newest: end.lsn })
}

/// Everything after this position is on the tape.
pub(crate) fn oldest_base(dir: &Path) -> Result<Lsn, Error> {
    let Some(&number) = disk::segments(dir)?.first() else { return Ok(Lsn::ZERO) };
    let mut window = Window::open(dir, number)?;
    let length = window.length()?;
    Ok(start(&mut window, number, None, length)?.head.base)
}
