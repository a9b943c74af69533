//! How the program is brought to each of its failpoints.
//!
//! Invariant: whatever is done here may happen to a service: a kill, a stop, a torn write, a schema change, a reset. The
//! caller starts it again unharmed and compares.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pgtape::sandbox::Service;
use rand::{Rng, RngCore};

use super::{CHURN, STOP, Stage};
use crate::common::load::Dice;

/// The last of the ways takes two rounds of retention, which come every five seconds.
const REACH: Duration = Duration::from_secs(20);
/// A late passing that does not come within this time is given up.
const REACH_LATE: Duration = Duration::from_secs(5);
/// What brings the service to a point is done again after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether the service is gone.
const POLL: Duration = Duration::from_millis(10);
/// A torn tail of this many bytes at most.
const TORN_BYTES_MAX: usize = 64 << 10;

/// What leads to a failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The engines' transactions.
    Load,
    /// And more bytes than a segment holds, again and again.
    Churn,
    /// A column that a table gets under load.
    NewColumn,
    /// A start without tape and slot.
    FirstCopy,
    /// A start after a first copy that was killed.
    CutCopy,
    /// A start on a tape whose last write was torn.
    TornTail,
    /// `pgtape slot reset`.
    Reset,
}

/// The points that load alone does not lead to, and how many passings one go brings for certain.
pub const WAYS: &[(&str, Way, u64)] = &[
    ("source::after-copy", Way::FirstCopy, 1),
    ("source::after-slot", Way::FirstCopy, 1),
    ("source::before-slot", Way::FirstCopy, 1),
    ("source::mid-copy", Way::FirstCopy, 20),
    ("source::mid-refresh", Way::NewColumn, 8),
    ("source::mid-reset", Way::Reset, 1),
    ("tape::recover-after-cut", Way::TornTail, 1),
    ("tape::recover-before-copy-cut", Way::CutCopy, 1),
    ("tape::recover-before-cut", Way::TornTail, 1),
    ("tape::retain-before-delete", Way::Churn, 3),
    ("tape::retain-before-dir-sync", Way::Churn, 3),
    ("tape::roll-before-create", Way::Churn, 4),
    ("tape::roll-before-dir-sync", Way::Churn, 4),
    ("tape::roll-before-rename", Way::Churn, 4),
    ("tape::roll-before-sync", Way::Churn, 4),
    ("tape::roll-done", Way::Churn, 4),
];

/// Passings that load brings within seconds.
const PASSINGS_OF_LOAD: u64 = 50;

impl Way {
    /// The way to a point, and up to which passing it leads.
    pub fn to(point: &str) -> (Self, u64) {
        let known = WAYS.iter().find(|(name, ..)| *name == point);
        known.map_or((Self::Load, PASSINGS_OF_LOAD), |(_, way, passings)| (*way, *passings))
    }

    /// Has the program killed at a passing of the point; whether it was. The service is down then, or runs with the point
    /// still armed.
    pub fn kill_at(self, stage: &mut Stage, dice: &mut Dice, point: &str, passing: u64) -> bool {
        let armed = format!("{point}=kill@{passing}");
        let limit = if passing == 1 { REACH } else { REACH_LATE };
        match self {
            Self::Load => run_armed(stage, &armed, limit, |_| {}),
            Self::Churn => run_armed(stage, &armed, limit, |stage| drop(stage.server.psql(CHURN).unwrap())),
            Self::NewColumn => run_armed(stage, &armed, limit, |stage| {
                let column: u32 = dice.random();
                let sql = format!("ALTER TABLE perplex.ballast ADD COLUMN c{column} int DEFAULT 1; {CHURN}");
                stage.server.psql(&sql).unwrap();
            }),
            Self::FirstCopy => {
                forget(stage);
                run_armed(stage, &armed, limit, |_| {})
            }
            Self::CutCopy => {
                forget(stage);
                let cut = run_armed(stage, "source::mid-copy=kill@4", limit, |_| {});
                cut && run_armed(stage, &armed, limit, |_| {})
            }
            Self::TornTail => {
                stage.service.kill9().unwrap();
                tear(&newest_segment(&stage.service.service().data_dir.join("tape")), dice);
                run_armed(stage, &armed, limit, |_| {})
            }
            Self::Reset => {
                stage.service.terminate(STOP).unwrap();
                let killed = reset(&stage.service.service().clone().env("PGTAPE_FAILPOINTS", &armed));
                if dice.random() {
                    assert!(!reset(stage.service.service()));
                }
                killed
            }
        }
    }
}

/// Starts the service with a point armed and does `again` now and then until it is gone; whether it was within `limit`.
fn run_armed(stage: &mut Stage, armed: &str, limit: Duration, mut again: impl FnMut(&Stage)) -> bool {
    let unarmed = stage.service.service().clone();
    stage.service.start_as(unarmed.clone().env("PGTAPE_FAILPOINTS", armed)).unwrap();
    let started = Instant::now();
    let mut done: Option<Instant> = None;
    let gone = loop {
        if let Some(status) = stage.service.process().ended().unwrap() {
            assert_eq!(status.code(), None, "{}", stage.service.process().failure("was not killed but ended"));
            break true;
        }
        if started.elapsed() > limit {
            break false;
        }
        if done.is_none_or(|done| done.elapsed() > AGAIN) {
            again(stage);
            done = Some(Instant::now());
        }
        std::thread::sleep(POLL);
    };
    stage.service.set(unarmed);
    gone
}

/// Runs `pgtape slot reset`, which succeeds or is killed; whether it was.
fn reset(service: &Service) -> bool {
    let reset = service.finish(&["slot", "reset", "--yes", "--reason", "a test"]).unwrap();
    assert!(reset.code.is_none_or(|code| code == 0), "{}", reset.stderr);
    reset.code.is_none()
}

/// Takes tape and slot away: the service starts with a first copy.
fn forget(stage: &mut Stage) {
    stage.service.terminate(STOP).unwrap();
    std::fs::remove_dir_all(&stage.service.service().data_dir).unwrap();
    stage.server.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots").unwrap();
}

fn newest_segment(tape: &Path) -> PathBuf {
    let files = std::fs::read_dir(tape).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "tape")).max().unwrap()
}

/// What a power cut leaves of a write: pages of zeros, or of something else.
fn tear(segment: &Path, dice: &mut Dice) {
    let mut torn = vec![0; dice.random_range(1..=TORN_BYTES_MAX)];
    if dice.random() {
        dice.fill_bytes(&mut torn);
    }
    OpenOptions::new().append(true).open(segment).unwrap().write_all(&torn).unwrap();
}
