//! THE delivery loop: from the tape to the sinks, on one thread of its own.
//!
//! Invariants: units are applied in the tape's order, whole; nothing is shown between them; what waits is bounded. Ingest
//! never waits for it, and it never waits for the network but at its start: the roll-ups' writers do.

use super::Error;
use super::contract::Sink;
use super::gate::{Gate, Next};
use super::start::{self, Session, Setup};
use super::step::Step;
use crate::pgoutput::decode;
use crate::refusal::{Kind, Refusal};
use crate::tape::{self, Entry, Messages, Transaction};

/// Delivers until the stop, starting over when asked to.
pub(super) fn run(setup: &Setup, mut gate: Gate) -> Result<(), Error> {
    loop {
        let Some(mut session) = start::session(setup, &gate)? else { return Ok(()) };
        gate.restarted();
        let ended = follow(&mut session, &mut gate);
        session.writers.stop();
        match ended? {
            Next::Restart => tracing::info!("the delivery starts over from a checkpoint"),
            Next::Go | Next::Stop => {
                session.step.last_checkpoint();
                return Ok(());
            }
        }
    }
}

/// The loop itself.
fn follow(session: &mut Session, gate: &mut Gate) -> Result<Next, Error> {
    let Session { reader, step, .. } = session;
    loop {
        let end = reader.watermark().get();
        let next = match reader.next()? {
            Some(Entry::Preamble(messages)) => preamble(messages, step)?,
            Some(Entry::Transaction(transaction)) => {
                let (lsn, kind) = (transaction.head().end_lsn, transaction.head().kind);
                match gate.admit(lsn, kind == tape::Kind::Copy, step)? {
                    Next::Go => apply(transaction, step)?,
                    other => other,
                }
            }
            Some(Entry::Progress(lsn)) => {
                let next = gate.admit(lsn, false, step)?;
                if next == Next::Go {
                    step.progress(lsn);
                }
                next
            }
            Some(Entry::Gap(gap)) => {
                tracing::warn!(from = %gap.from, to = %gap.to, reason = gap.reason, "an accepted gap in the tape");
                Next::Go
            }
            None => {
                step.flush()?;
                check_copy(end, step)?;
                gate.idle(end, step)?
            }
        };
        match next {
            Next::Go if step.is_full() => step.flush()?,
            Next::Go => {}
            Next::Restart | Next::Stop => {
                step.flush()?;
                return Ok(next);
            }
        }
    }
}

fn preamble(mut messages: Messages<'_>, sink: &mut impl Sink) -> Result<Next, Error> {
    while let Some((_, raw)) = messages.next_message()? {
        sink.preamble(decode(raw)?)?;
    }
    Ok(Next::Go)
}

/// Applies one unit, read message by message: a large one passes through flat memory.
fn apply(mut transaction: Transaction<'_>, step: &mut Step) -> Result<Next, Error> {
    let head = transaction.head().clone();
    if step.point().0 == 0 && head.kind != tape::Kind::Copy {
        return Ok(Next::Go); // The end of an epoch whose beginning is gone: the next copy replaces it.
    }
    step.begin(&head)?;
    while let Some((_, raw)) = transaction.next_message()? {
        step.message(&decode(raw)?)?;
    }
    step.commit(&head)?;
    Ok(Next::Go)
}

/// At the tape's end there must have been a copy, or a checkpoint before.
fn check_copy(end: tape::End, step: &Step) -> Result<(), Error> {
    if end.epoch == 0 || step.point().0 > 0 {
        return Ok(());
    }
    let what = "no checkpoint can be read, and the tape no longer holds the copy it began with";
    Err(Refusal::new(Kind::Tape, what, "copy the tables again: pgtape slot reset").into())
}
