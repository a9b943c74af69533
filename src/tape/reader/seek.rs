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
            let Some(mut window) = open_if_there(dir, number)? else { break };
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
    for number in disk::segments(dir)? {
        let Some(mut window) = open_if_there(dir, number)? else { continue };
        let length = window.length()?;
        return Ok(start(&mut window, number, None, length)?.head.base);
    }
    Ok(Lsn::ZERO)
}

/// Opens a segment that retention may have taken since it was listed.
fn open_if_there(dir: &Path, number: u64) -> Result<Option<Window>, Error> {
    match Window::open(dir, number) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}
