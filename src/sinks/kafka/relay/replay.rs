//! A part of the tape, once more: as a sink of its own, that ends where the part ends. A replay that was cut short goes on
//! where it was when it is started again.

use super::obey::obey_alone;
use super::session;
use super::thread::{Ended, Setup, Thread};
use crate::refusal::{Kind, Refusal};
use crate::sinks::Error;
use crate::sinks::kafka::orders::Order;

/// Produces the part that the setup names; returns the number of records.
pub fn replay(setup: Setup) -> Result<u64, Refusal> {
    let (settings, tape_dir) = (setup.settings.clone(), setup.tape_dir.clone());
    let (mut thread, handle) = Thread::new(setup).map_err(Error::into_refusal)?;
    loop {
        match session::run(&mut thread).map_err(Error::into_refusal)? {
            Ended::Stopped => break,
            Ended::Asked(_) => {}
            Ended::Failed(failure) => {
                let what = format!("the replay was cut short: {failure}");
                return Err(Refusal::new(Kind::Unreachable, what, "start it again: it goes on where it was"));
            }
        }
    }
    fail::fail_point!("kafka-replay::produced");
    let report = handle.report();
    // It has no future: the next one is another.
    obey_alone(&settings, &tape_dir, &Order::Reset)?;
    if let Some(stop) = report.stopped.first() {
        let what =
            format!("the replay is not whole: nothing of {} after {}: {}", stop.table, stop.position, stop.reason);
        return Err(Refusal::new(Kind::Tape, what, "mend that, or replay from a position after it"));
    }
    Ok(report.records)
}
