//! Takes a roll-up back to an earlier position: its content there is computed from a checkpoint and the tape, never from
//! deltas that would have to be undone.
//!
//! One transaction replaces the target, sets the position and raises the generation. A service that writes the roll-up
//! finds its position moved, starts over from a checkpoint at or below it, and replays.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::contract::RollUp;
use super::deltas::Deltas;
use super::maintain::{Maintainer, Point};
use super::sql::Statements;
use crate::model::{Lsn, Position};
use crate::pg::{self, Address, Purpose, Session, SqlState};
use crate::pgoutput::decode;
use crate::refusal::{Kind, Refusal};
use crate::sinks::checkpoints::{self, Checkpoint};
use crate::sinks::cursor::{self, Identity, Stored};
use crate::sinks::standby::{self, Extras, Store, Unobserved};
use crate::sinks::{Error, indexes_of};
use crate::tape::{Entry, Kind as UnitKind, Reader, Watermark};

/// So often is a position that others move looked at again.
const ATTEMPTS_MAX: u32 = 5;
/// A transaction that holds the position or rows of the target is waited for so long.
const LOCK_TIMEOUT: &str = "10s";

/// Where a roll-up is taken back to, and from what.
pub struct Rewind {
    rollup: Arc<dyn RollUp>,
    tape_dir: PathBuf,
    watermark: Watermark,
    identity: Identity,
    to: Lsn,
    from: Checkpoint,
    /// Keeps the checkpoints from being pruned.
    _hold: File,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The position before; `None`: there was none.
    pub before: Option<Stored>,
    /// The position now.
    pub now: Stored,
    /// Groups in the target now.
    pub groups: usize,
}

impl Rewind {
    /// Finds out whether `rollup` can be taken to `to`: there must be a checkpoint at or below it, and the tape from there
    /// on. Changes nothing, and keeps that checkpoint until dropped.
    pub fn plan(
        rollup: Arc<dyn RollUp>,
        tape_dir: PathBuf,
        checkpoint_dir: PathBuf,
        watermark: Watermark,
        identity: Identity,
        to: Lsn,
    ) -> Result<Self, Error> {
        let hold = checkpoints::hold(&checkpoint_dir).map_err(Error::io("hold the checkpoints in", &checkpoint_dir))?;
        let all = checkpoints::list(&checkpoint_dir).map_err(Error::io("list the checkpoints in", &checkpoint_dir))?;
        let end = watermark.lsn();
        if to > end {
            let what = format!("{to} is past the tape's end, {end}");
            return Err(Refusal::new(Kind::Usage, what, "name a position that the tape holds").into());
        }
        let Some(from) = all.iter().find(|checkpoint| checkpoint.point.1 <= to).cloned() else {
            let oldest = all.last().map_or("there is none".to_owned(), |c| format!("the oldest is at {}", c.point.1));
            let what = format!("no checkpoint is at or below {to}: {oldest}");
            let hint = format!("rebuild it from the tables instead: pgtape sink rebuild {}", rollup.name());
            return Err(Refusal::new(Kind::Tape, what, hint).into());
        };
        Ok(Self { rollup, tape_dir, watermark, identity, to, from, _hold: hold })
    }

    /// The position of the checkpoint that the content is computed from.
    #[must_use]
    pub fn base(&self) -> Lsn {
        self.from.point.1
    }

    /// The content at the position. Reads the checkpoint and the tape: not for an async thread.
    pub fn content(&self) -> Result<(Deltas, Point), Error> {
        let view = standby::checkpoint::read(&self.from.path, self.identity.system_id)
            .map_err(Error::io("read the checkpoint", &self.from.path))?;
        let extras = Extras { indexes: indexes_of(&*self.rollup), books: Vec::new() };
        let mut store = Store::from_view(Arc::new(extras), view);
        let mut reader = Reader::open(&self.tape_dir, Position::whole(self.base()), self.watermark.clone())?;
        while let Some(entry) = reader.next()? {
            match entry {
                Entry::Preamble(mut messages) => {
                    while let Some((_, raw)) = messages.next_message()? {
                        store.preamble(decode(raw)?);
                    }
                }
                Entry::Transaction(unit) if unit.head().end_lsn > self.to => break,
                Entry::Transaction(mut transaction) => {
                    let head = transaction.head().clone();
                    if head.kind == UnitKind::Message {
                        continue;
                    }
                    let unit = store.begin(&head, &mut Unobserved);
                    while let Some((_, raw)) = transaction.next_message()? {
                        store.apply(&decode(raw)?, unit, &mut Unobserved)?;
                    }
                    store.commit(&head, unit, &mut Unobserved);
                }
                Entry::Progress(_) | Entry::Gap(_) => {}
            }
        }
        Ok((Maintainer::content(&*self.rollup, &store), (store.position().0, self.to)))
    }

    /// Replaces the target by `content`, sets the position and raises the generation, in one transaction.
    pub async fn commit(&self, address: &Address, content: &Deltas, to: Point) -> Result<Replaced, pg::Error> {
        replace(address, &*self.rollup, self.identity.clone(), content, to).await
    }
}

/// Replaces a target, sets its position and raises the generation, in one transaction. A service that just moves the
/// position is waited for; the content does not depend on where it was.
pub async fn replace(
    address: &Address,
    rollup: &dyn RollUp,
    identity: Identity,
    content: &Deltas,
    to: Point,
) -> Result<Replaced, pg::Error> {
    let mut session = pg::connect(address, Purpose::Rollup).await?;
    for _ in 0..ATTEMPTS_MAX {
        match attempt(&mut session, rollup, identity.clone(), content, to).await {
            Ok(Some(replaced)) => return Ok(replaced),
            Ok(None) => {}
            Err(error) if error.is(&SqlState::LOCK_NOT_AVAILABLE) => {
                let what = format!("{} or its position was locked for {LOCK_TIMEOUT}", rollup.name());
                let hint =
                    "nothing was changed: try again when the transaction that holds it has ended (pg_locks shows it)";
                return Err(Refusal::new(Kind::Locked, what, hint).into());
            }
            Err(error) => return Err(error),
        }
    }
    let what = format!("the position of {} was moved {ATTEMPTS_MAX} times meanwhile", rollup.name());
    let hint = "nothing was changed: stop the service that writes it, or try again when it writes less";
    Err(Refusal::new(Kind::Locked, what, hint).into())
}

/// `None`: the position was made or moved meanwhile, and nothing was changed.
async fn attempt(
    session: &mut Session,
    rollup: &dyn RollUp,
    identity: Identity,
    content: &Deltas,
    to: Point,
) -> Result<Option<Replaced>, pg::Error> {
    let statements = Statements::new(rollup.target());
    let transaction = session.transaction().await?;
    transaction.batch_execute(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")).await?;
    let before = cursor::read_and_lock(&transaction, rollup.name()).await?;
    let generation = before.as_ref().map_or(0, |stored| stored.generation) + 1;
    let now = Stored { generation, identity, epoch: to.0, lsn: to.1, stale: false };
    if !cursor::advance(&transaction, rollup.name(), before.as_ref(), &now).await? {
        transaction.rollback().await?;
        return Ok(None);
    }
    statements.empty(&transaction).await?;
    statements.add(&transaction, content).await?;
    transaction.commit().await?;
    Ok(Some(Replaced { before, now, groups: content.len() }))
}
