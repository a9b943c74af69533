//! The oracle: standby and roll-ups against Postgres at one log position, while everything runs.
//!
//! ```text
//!  hold the apply ─▶ temporary slot with exported snapshot: C ─▶ emit a message, so that the tape passes C
//!    ─▶ apply exactly what ends at or below C ─▶ read the targets of the roll-ups ─▶ release
//!    ─▶ at leisure: tables and definitions under the snapshot, against the view at C
//! ```
//!
//! Invariants: the snapshot shows exactly the commits with an end LSN at or below C, and so does the view; the hold is a
//! lease, so a verifier that dies stops nothing; ingest never waits. A table that was rewritten while it was compared
//! (TRUNCATE and rewriting ALTER TABLE do not respect snapshots) makes the whole comparison void: it begins again.
//! May look at both sides, source and sinks; changes neither.

mod definition;
mod digest;
mod rebuild;
mod report;
mod rollups;
mod rows;
mod snapshot;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use crate::model::Position;
use crate::pg::{self, Address, Purpose, Session};
use crate::refusal::{Kind, Refusal};
use crate::sinks::standby::{StandbyReader, View};
use crate::sinks::{Control, ControlError, HoldId};
use crate::source;

pub use definition::Definition;
pub use report::{Difference, Report, RollupReport, Side, TableReport};

use snapshot::Snapshot;

/// The apply is held for at most this long; within it the slot must be made and the tape must pass its position.
const LEASE: Duration = Duration::from_secs(30);
/// A new slot waits for the transactions that are open; longer than this is given up and tried again.
const SLOT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is tried before the verification is refused.
const ATTEMPTS: u32 = 3;

/// What a verification works with.
#[derive(Clone)]
pub struct Verifier {
    /// The server.
    pub address: Address,
    /// The publication, for its row filters.
    pub publication: String,
    /// The standby's tables.
    pub standby: StandbyReader,
    /// Steers the apply.
    pub control: Control,
    /// The roll-ups and their SELECTs.
    pub definitions: Arc<[Definition]>,
    /// How many rows a roll-up cannot use, by its name.
    pub quarantined: Arc<dyn Fn(&str) -> u64 + Send + Sync>,
}

/// Why an attempt came to nothing.
enum Void {
    /// Trying again may help.
    Again(String),
    /// It will not.
    Refused(Refusal),
}

impl From<pg::Error> for Void {
    fn from(error: pg::Error) -> Self {
        if error.is_retryable() { Void::Again(error.to_string()) } else { Void::Refused(error.into_refusal("verify")) }
    }
}

impl From<tokio_postgres::Error> for Void {
    fn from(error: tokio_postgres::Error) -> Self {
        pg::Error::from(error).into()
    }
}

impl From<source::Error> for Void {
    fn from(error: source::Error) -> Self {
        match error {
            source::Error::Retry(why) => Void::Again(why),
            other => Void::Refused(other.into_refusal()),
        }
    }
}

impl From<ControlError> for Void {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Stopped => Void::Refused(Refusal::new(Kind::Locked, error.to_string(), "look at its log")),
            ControlError::Busy(_) => Void::Refused(Refusal::new(Kind::Locked, error.to_string(), "try again later")),
            ControlError::Expired | ControlError::Passed(_) | ControlError::Copying | ControlError::Failed(_) => {
                Void::Again(error.to_string())
            }
        }
    }
}

/// Both sides at C.
struct Frozen {
    view: Arc<View>,
    guard: source::Guard,
    snapshot: Snapshot,
    targets: Vec<rollups::Held>,
}

fn oids(view: &View) -> impl Iterator<Item = u32> {
    view.tables().map(|table| table.relation().id)
}

impl Verifier {
    /// Compares everything; begins again when an attempt comes to nothing, a few times.
    pub async fn run(&self) -> Result<Report, Refusal> {
        let mut last = String::new();
        for attempt in 1..=ATTEMPTS {
            match self.attempt().await {
                Ok(report) => return Ok(report),
                Err(Void::Refused(refusal)) => return Err(refusal),
                Err(Void::Again(why)) => {
                    tracing::warn!(attempt, why, "the comparison came to nothing");
                    last = why;
                }
            }
        }
        let what = format!("nothing could be compared in {ATTEMPTS} attempts: {last}");
        Err(Refusal::new(Kind::Unreachable, what, "try again when it has passed"))
    }

    async fn attempt(&self) -> Result<Report, Void> {
        let session = pg::connect(&self.address, Purpose::Verify).await?;
        let (definitions, void) = definition::prepare(&session, &self.definitions).await?;
        let hold = self.control.hold(LEASE).await?;
        let release = self.control.release_on_drop(hold.id);
        let frozen = self.freeze(&session, hold.id, &definitions).await;
        drop(release);
        let frozen = frozen?;
        let mut report = Report::new(frozen.snapshot.point);
        for table in frozen.view.tables() {
            report.tables.push(tables::compare(&frozen.snapshot, table).await?);
        }
        if !frozen.guard.holds_for(&session, oids(&frozen.view)).await? {
            return Err(Void::Again("a table was rewritten while it was compared".into()));
        }
        for (definition, held) in definitions.iter().zip(frozen.targets) {
            let quarantined = (self.quarantined)(&definition.name);
            report.rollups.push(rollups::compare(&frozen.snapshot, definition, held, quarantined).await?);
        }
        report.rollups.extend(void);
        Ok(report.concluded())
    }

    /// Steps 2 to 5 of the protocol: both sides at C. The caller releases the hold.
    async fn freeze(
        &self,
        session: &Session,
        hold: HoldId,
        definitions: &[definition::Prepared],
    ) -> Result<Frozen, Void> {
        let guard = source::Guard::of(session, oids(&self.standby.view())).await?;
        let snapshot = Snapshot::export(&self.address, session, &self.publication, SLOT_TIMEOUT).await?;
        source::emit_message(session, "pgtape", "verify").await?;
        let view = self.control.apply_until(hold, snapshot.point).await?;
        if view.position > Position::whole(snapshot.point) {
            return Err(Void::Again(format!("the standby is past {}", snapshot.point)));
        }
        let targets = rollups::read_targets(session, definitions, snapshot.point).await?;
        Ok(Frozen { view, guard, snapshot, targets })
    }
}
