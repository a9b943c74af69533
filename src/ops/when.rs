//! Positions as operators write them: an LSN, a position, or a time.

use std::path::Path;

use crate::model::Position;
use crate::refusal::{Kind, Refusal};
use crate::tape::{self, Watermark};

/// The position that `text` means on the tape in `dir`. A time means: before the first commit at or after it, or the end;
/// `oldest`: before all that the tape holds.
pub fn position(dir: &Path, text: &str) -> Result<Position, Refusal> {
    if let Ok(position) = text.parse::<Position>() {
        return Ok(position);
    }
    if text == "oldest" {
        return Ok(Position::whole(tape::usage(dir).map_err(tape::Error::into_refusal)?.oldest));
    }
    let Ok(time) = text.parse::<jiff::Timestamp>() else {
        let what = format!("'{text}' is neither a position nor a time");
        let hint = "write 0/16B3748, 00000000016B3748.0000000003, 2026-11-21T14:03:07Z or oldest";
        return Err(Refusal::new(Kind::Usage, what, hint));
    };
    let watermark = Watermark::scan(dir).map_err(tape::Error::into_refusal)?;
    let found = tape::first_at_or_after(dir, &watermark, time.as_microsecond()).map_err(tape::Error::into_refusal)?;
    match found {
        Some(at) => Ok(Position::whole(at.before)),
        // Nothing was committed since: the end.
        None => Ok(Position::whole(watermark.lsn())),
    }
}
