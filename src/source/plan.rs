//! Server against tape: may the stream go on? Contract 4, "no silent gap", stands here and nowhere else.
//!
//! Pure. `START_REPLICATION` begins at max(asked, confirmed) and says nothing about either: a slot that is ahead of the
//! tape, or a server that is behind it, would lose changes without an error. So everything is compared before each
//! connection streams.

use crate::model::Lsn;
use crate::refusal::{Kind, Refusal};
use crate::tape::Origin;

use super::server::Server;
use super::slot::Slot;

/// What the tape says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeState {
    /// Everything up to here is on it.
    pub end: Lsn,
    /// Its epoch; 0 before the first copy.
    pub epoch: u32,
    /// Where it came from; `None` for a tape just made.
    pub origin: Option<Origin>,
    /// A copy was begun and not ended, with a slot of this name; empty when it had got none.
    pub copy_pending: Option<String>,
    /// The newest heartbeat seen on it.
    pub heartbeat: Option<Lsn>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Make the slot and copy everything, as this epoch.
    FirstCopy {
        /// The epoch that the copy starts.
        epoch: u32,
        /// A slot of ours that a copy cut short has left behind.
        drop_slot: Option<String>,
    },
    /// Stream from the tape's end.
    Resume {
        /// The tape's end.
        from: Lsn,
    },
}

/// Decides, or refuses and says what to do.
pub fn plan(server: &Server, slot: Option<&Slot>, slot_name: &str, tape: &TapeState) -> Result<Plan, Refusal> {
    if let Some(origin) = &tape.origin {
        same_server(server, origin, tape)?;
    }
    if let Some(left) = &tape.copy_pending {
        let drop_slot = Some(left.clone()).filter(|left| !left.is_empty());
        if drop_slot.is_none() && slot.is_some() {
            let what = format!("slot {slot_name} exists and is not this tape's");
            return Err(Refusal::new(Kind::Slot, what, "name another --slot, or drop that one: pgtape slot drop"));
        }
        return Ok(Plan::FirstCopy { epoch: tape.epoch + 1, drop_slot });
    }
    let Some(slot) = slot else {
        return if tape.epoch == 0 {
            Ok(Plan::FirstCopy { epoch: 1, drop_slot: None })
        } else {
            Err(Refusal::new(
                Kind::Slot,
                format!("slot {slot_name} is gone: what was committed after {} cannot be read from it", tape.end),
                "pgtape slot reset makes a new slot and copies the tables again",
            ))
        };
    };
    usable(server, slot)?;
    if slot.confirmed > tape.end {
        let (what, hint) = if tape.epoch == 0 {
            (
                format!("slot {slot_name} exists (confirmed {}) and the tape is empty", slot.confirmed),
                "give the data directory of its tape or another --slot; if the tape is lost: pgtape slot reset",
            )
        } else {
            (
                format!(
                    "slot {slot_name} is ahead of the tape: confirmed {}, the tape ends at {}",
                    slot.confirmed, tape.end
                ),
                "restore the tape, or accept the gap by copying the tables again: pgtape slot reset",
            )
        };
        return Err(Refusal::new(Kind::Slot, what, hint));
    }
    if server.flush < tape.end {
        return Err(restored(format!(
            "the server is behind the tape: its log ends at {}, the tape at {}",
            server.flush, tape.end
        )));
    }
    if tape.epoch == 0 {
        // A slot that was made and never confirmed anything, without an Intent of ours: somebody else's.
        let what = format!("slot {slot_name} exists and the tape is empty");
        return Err(Refusal::new(Kind::Slot, what, "name another --slot, or drop that one: pgtape slot drop"));
    }
    Ok(Plan::Resume { from: tape.end })
}

/// Same cluster, same database, and a history that holds all of the tape.
fn same_server(server: &Server, origin: &Origin, tape: &TapeState) -> Result<(), Refusal> {
    let other = "give the address of the server the tape was read from, or another --data-dir";
    if server.system_id != origin.system_id {
        let what = format!("the tape is of system {}, the server is system {}", origin.system_id, server.system_id);
        return Err(Refusal::new(Kind::Tape, what, other));
    }
    if server.database_oid != origin.database_oid {
        let what = format!("the tape is of another database than {} (oid {})", server.database, origin.database_oid);
        return Err(Refusal::new(Kind::Tape, what, other));
    }
    if server.timeline != origin.timeline {
        let fork = server.history.iter().find(|fork| fork.timeline == origin.timeline);
        if fork.is_none_or(|fork| fork.end < tape.end) {
            return Err(restored(match fork {
                Some(fork) => format!(
                    "the server left timeline {} at {}, before the tape's end {}",
                    fork.timeline, fork.end, tape.end
                ),
                None => format!(
                    "the server is on timeline {}, which does not come from the tape's timeline {}",
                    server.timeline, origin.timeline
                ),
            }));
        }
    }
    if let Some(seen) = tape.heartbeat
        && server.heartbeat.is_none_or(|held| held < seen)
    {
        let held = server.heartbeat.map_or_else(|| "none".to_owned(), |lsn| lsn.to_string());
        return Err(restored(format!(
            "the database does not hold the newest heartbeat on the tape (holds {held}, the tape has seen {seen})"
        )));
    }
    Ok(())
}

fn restored(what: String) -> Refusal {
    let hint = "the server was restored from an older copy, or lost commits in a failover: what the tape holds beyond it \
                never happened there; keep this data directory as evidence and start with a new one";
    Refusal::new(Kind::Tape, what, hint)
}

/// Whether the slot can be streamed by us at all.
fn usable(server: &Server, slot: &Slot) -> Result<(), Refusal> {
    let refuse = |what: String, hint: &str| Err(Refusal::new(Kind::Slot, what, hint));
    let name = &slot.name;
    match (&slot.plugin, &slot.database) {
        (Some(plugin), Some(database)) => {
            if plugin != "pgoutput" {
                return refuse(format!("slot {name} uses the plugin {plugin}"), "name another --slot");
            }
            if *database != server.database {
                let what = format!("slot {name} belongs to database {database}, not to {}", server.database);
                return refuse(what, "name another --slot, or the slot's database");
            }
        }
        _ => return refuse(format!("slot {name} is a physical slot"), "name another --slot"),
    }
    if slot.temporary {
        return refuse(format!("slot {name} is temporary"), "name another --slot");
    }
    if slot.wal_status == "lost" {
        return refuse(
            format!("slot {name} was invalidated: the server no longer has the log it needs"),
            "pgtape slot reset makes a new slot and copies the tables again; raise max_slot_wal_keep_size",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::server::Fork;

    fn server() -> Server {
        Server {
            system_id: 7,
            timeline: 1,
            history: Vec::new(),
            flush: Lsn(1000),
            version_number: 150_018,
            version: "15.18".into(),
            database: "shop".into(),
            database_oid: 5,
            wal_level: "logical".into(),
            in_recovery: false,
            synchronous_standby_names: String::new(),
            max_slot_wal_keep_size: "-1".into(),
            has_heartbeat: true,
            heartbeat: Some(Lsn(400)),
        }
    }

    fn slot() -> Slot {
        Slot {
            name: "pgtape".into(),
            plugin: Some("pgoutput".into()),
            database: Some("shop".into()),
            temporary: false,
            active: None,
            confirmed: Lsn(450),
            restart: Lsn(300),
            wal_status: "reserved".into(),
            retained_bytes: 0,
        }
    }

    fn tape() -> TapeState {
        let origin = Origin { system_id: 7, timeline: 1, database_oid: 5, fingerprint: 1, slot: "pgtape".into() };
        TapeState { end: Lsn(500), epoch: 1, origin: Some(origin), copy_pending: None, heartbeat: Some(Lsn(400)) }
    }

    fn new_tape() -> TapeState {
        TapeState { end: Lsn::ZERO, epoch: 0, origin: None, copy_pending: None, heartbeat: None }
    }

    fn refused(server: &Server, slot: Option<&Slot>, tape: &TapeState, kind: Kind, text: &str) {
        let refusal = plan(server, slot, "pgtape", tape).expect_err(text);
        assert!(refusal.kind == kind && refusal.what.contains(text), "{refusal:?}");
        assert!(!refusal.hint.is_empty(), "{refusal:?} does not say what to do");
    }

    #[test]
    fn a_new_tape_copies_and_a_known_one_resumes() {
        let copy = |epoch, drop_slot: Option<&str>| Plan::FirstCopy { epoch, drop_slot: drop_slot.map(Into::into) };
        assert_eq!(plan(&server(), None, "pgtape", &new_tape()), Ok(copy(1, None)));
        assert_eq!(plan(&server(), Some(&slot()), "pgtape", &tape()), Ok(Plan::Resume { from: Lsn(500) }));
        let cut = TapeState { copy_pending: Some("pgtape".into()), ..tape() };
        assert_eq!(plan(&server(), Some(&slot()), "pgtape", &cut), Ok(copy(2, Some("pgtape"))));
        let slotless = TapeState { copy_pending: Some(String::new()), ..tape() };
        assert_eq!(plan(&server(), None, "pgtape", &slotless), Ok(copy(2, None)));
        refused(&server(), Some(&slot()), &slotless, Kind::Slot, "not this tape's");
        let behind = Slot { confirmed: Lsn(10), ..slot() };
        assert_eq!(plan(&server(), Some(&behind), "pgtape", &tape()), Ok(Plan::Resume { from: Lsn(500) }));
    }

    #[test]
    fn a_gap_is_refused_at_the_slot() {
        refused(&server(), None, &tape(), Kind::Slot, "is gone");
        refused(&server(), Some(&Slot { confirmed: Lsn(501), ..slot() }), &tape(), Kind::Slot, "ahead of the tape");
        refused(&server(), Some(&slot()), &new_tape(), Kind::Slot, "the tape is empty");
        refused(&server(), Some(&Slot { wal_status: "lost".into(), ..slot() }), &tape(), Kind::Slot, "invalidated");
        let elsewhere = Slot { database: Some("x".into()), ..slot() };
        refused(&server(), Some(&elsewhere), &tape(), Kind::Slot, "belongs to database x");
        refused(&server(), Some(&Slot { plugin: None, ..slot() }), &tape(), Kind::Slot, "physical");
        let foreign = Slot { plugin: Some("test_decoding".into()), ..slot() };
        refused(&server(), Some(&foreign), &tape(), Kind::Slot, "plugin test_decoding");
    }

    #[test]
    fn another_or_an_older_server_is_refused_at_the_tape() {
        refused(&Server { system_id: 8, ..server() }, Some(&slot()), &tape(), Kind::Tape, "system 7");
        refused(&Server { database_oid: 6, ..server() }, Some(&slot()), &tape(), Kind::Tape, "another database");
        refused(&Server { flush: Lsn(499), ..server() }, Some(&slot()), &tape(), Kind::Tape, "behind the tape");
        refused(&Server { heartbeat: Some(Lsn(399)), ..server() }, Some(&slot()), &tape(), Kind::Tape, "heartbeat");
        refused(&Server { heartbeat: None, ..server() }, Some(&slot()), &tape(), Kind::Tape, "heartbeat");
    }

    #[test]
    fn a_fork_after_the_tapes_end_is_followed_and_one_before_it_refused() {
        let forked = |end| Server { timeline: 2, history: vec![Fork { timeline: 1, end: Lsn(end) }], ..server() };
        assert_eq!(plan(&forked(500), Some(&slot()), "pgtape", &tape()), Ok(Plan::Resume { from: Lsn(500) }));
        refused(&forked(499), Some(&slot()), &tape(), Kind::Tape, "left timeline 1");
        let unrelated = Server { timeline: 2, ..server() };
        refused(&unrelated, Some(&slot()), &tape(), Kind::Tape, "does not come from");
    }
}
