//! Where a sink stands: what its progress record says, and whether this tape can go on from there.

use crate::model::{Lsn, Position};
use crate::refusal::{Kind, Refusal};
use crate::sinks::cursor::Identity;
use crate::sinks::kafka::progress::Progress;
use crate::sinks::kafka::settings::Settings;
use crate::tape::End;

/// The progress of a sink that has none.
pub(super) fn beginning(identity: Identity, position: Position, epoch: u32) -> Progress {
    Progress {
        identity,
        epoch,
        position,
        copying: false,
        last_commit: None,
        commit_time_us: 0,
        moves: 0,
        records: 0,
        quarantined: 0,
    }
}

/// Refuses progress that is not of this tape, or that the tape can no longer go on from.
pub(super) fn check(
    name: &str,
    progress: &Progress,
    identity: &Identity,
    oldest: Lsn,
    end: End,
) -> Result<(), Refusal> {
    let reset = format!("begin anew with: pgtape kafka reset {name}");
    let position = progress.position;
    if progress.identity.system_id != identity.system_id {
        let what = format!(
            "the progress of the Kafka sink {name} is of another server (system id {})",
            progress.identity.system_id
        );
        let hint = format!("give the sink a topic_prefix of its own, or {reset}");
        return Err(Refusal::new(Kind::Tape, what, hint));
    }
    if end.epoch > 0 && position.lsn > end.lsn {
        let what = format!("the position of the Kafka sink {name}, {position}, is past the tape's end, {}", end.lsn);
        return Err(Refusal::new(Kind::Tape, what, reset));
    }
    if !progress.copying && position.lsn < oldest {
        let what = format!("the tape no longer holds what follows {position}, where the Kafka sink {name} stands");
        return Err(Refusal::new(Kind::Tape, what, format!("the tape begins after {oldest}; {reset}")));
    }
    Ok(())
}

/// Refuses to begin anew in silence: Kafka holds no progress, but this service has noted some.
pub(super) fn lost(settings: &Settings, noted: Position) -> Refusal {
    let Settings { name, progress_topic, .. } = settings;
    let what =
        format!("the progress of the Kafka sink {name} is gone from {progress_topic}; it stood at {noted}, or later");
    let hint = format!(
        "go on from there with: pgtape kafka move {name} --to {noted} (what was produced since is produced again), or begin \
         anew with: pgtape kafka reset {name}"
    );
    Refusal::new(Kind::Tape, what, hint)
}

/// From where the tape is read on, so that what follows `position` is delivered: a source transaction that was split is
/// read again.
pub(super) fn read_after(position: Position) -> Position {
    if position.op == crate::model::OP_ALL || position == Position::ZERO {
        return position;
    }
    Position::whole(Lsn(position.lsn.0.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(system_id: u64) -> Identity {
        Identity { system_id, timeline: 1, fingerprint: 1 }
    }

    #[test]
    fn progress_must_be_of_this_tape_and_within_it() {
        let check = |system_id: u64, position: u64, copying: bool, want: Option<&str>| {
            let stands = beginning(identity(system_id), Position::whole(Lsn(position)), 1);
            let end = End { lsn: Lsn(100), epoch: 1, ..End::default() };
            let got = check("k", &Progress { copying, ..stands }, &identity(7), Lsn(10), end).err();
            match (got, want) {
                (None, None) => {}
                (Some(refusal), Some(want)) => assert!(refusal.what.contains(want), "{refusal}"),
                (got, want) => panic!("{got:?} instead of {want:?}"),
            }
        };
        check(7, 10, false, None);
        check(7, 100, false, None);
        check(8, 50, false, Some("another server"));
        check(7, 101, false, Some("past the tape's end"));
        check(7, 9, false, Some("no longer holds"));
        check(7, 9, true, None);
    }

    #[test]
    fn a_split_transaction_is_read_again() {
        assert_eq!(read_after(Position::whole(Lsn(9))), Position::whole(Lsn(9)));
        assert_eq!(read_after(Position::at(Lsn(9), 3)), Position::whole(Lsn(8)));
    }
}
