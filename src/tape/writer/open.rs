//! A writer's first steps: a new tape, or the end of the one that is there.

use std::path::Path;

use super::{Options, Recovered};
use crate::model::Lsn;
use crate::tape::bodies::encode_abandon;
use crate::tape::format::FrameKind;
use crate::tape::recover::{Tail, recover};
use crate::tape::segment::Appender;
use crate::tape::{Error, Origin, Proof};

/// The tape in `dir` ready to be continued; made if it is not there.
pub(super) fn open_tape(
    dir: &Path,
    options: &Options,
    origin: &Origin,
    proof: &Proof,
) -> Result<(Appender, Recovered), Error> {
    match recover(dir, origin, proof)? {
        None => begin_tape(dir, options, origin),
        Some(tail) => continue_tape(dir, options, origin, tail),
    }
}

fn begin_tape(dir: &Path, options: &Options, origin: &Origin) -> Result<(Appender, Recovered), Error> {
    let segment = Appender::first(dir, options.new_tape, origin.clone(), options.compress)?;
    let recovered = Recovered {
        tape_id: options.new_tape,
        end: Lsn::ZERO,
        epoch: 0,
        copy_point: Lsn::ZERO,
        origin: None,
        unfinished: None,
        copy_pending: None,
        schema: Vec::new(),
    };
    Ok((segment, recovered))
}

fn continue_tape(dir: &Path, options: &Options, origin: &Origin, tail: Tail) -> Result<(Appender, Recovered), Error> {
    let state = tail.state;
    let mut segment = Appender::resume(dir, tail.number, tail.file, tail.origin.clone(), state, options.compress);
    if let Some(begin) = &tail.unfinished {
        segment.append(FrameKind::Abandon, 0, &encode_abandon(begin))?;
        segment.sync()?;
    }
    if state.sealed || tail.origin != *origin {
        segment.roll(origin, &tail.schema)?;
    }
    let recovered = Recovered {
        tape_id: state.chain.tape,
        end: state.end,
        epoch: state.epoch,
        copy_point: state.copy_point,
        origin: Some(tail.origin),
        unfinished: tail.unfinished,
        copy_pending: tail.cut_copy,
        schema: tail.schema,
    };
    Ok((segment, recovered))
}
