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
    let cut_short = |why: &dyn std::fmt::Display| {
        let what = format!("the replay was cut short: {why}");
        Refusal::new(
            Kind::Unreachable,
            what,
            "start it again with the same positions and suffix: it goes on where it was",
        )
    };
    loop {
        match session::run(&mut thread).map_err(Error::into_refusal)? {
            Ended::Whole => break,
            Ended::Stopped => return Err(cut_short(&"it was told to stop")),
            Ended::Asked(_) => {}
            Ended::Failed(failure) => return Err(cut_short(&failure)),
        }
    }
    fail::fail_point!("kafka-replay::produced");
    let report = handle.report();
    // It has no future: the next one is another.
    obey_alone(&settings, &tape_dir, &Order::Reset)?;
    if let Some(stop) = report.stopped.first() {
        let others = match report.stopped.len() - 1 {
            0 => String::new(),
            others => format!(" (and of {others} other tables, as logged)"),
        };
        let what = format!(
            "the replay is not whole: nothing of {} after {}{others}: {}",
            stop.table, stop.position, stop.reason
        );
        return Err(Refusal::new(Kind::Finding, what, "mend that, or replay from a position after it"));
    }
    Ok(report.records)
}
