//! The rows that a table held before it was emptied: from the newest checkpoint of the standby before that, and the tape
//! from there on. Costs as much memory as the standby, for as long as the rows are produced.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{Lsn, OP_ALL, Position, TableName};
use crate::pgoutput::{Tuple, TupleBuffer, decode, ops};
use crate::refusal::{Kind, Refusal};
use crate::sinks::kafka::changes::emptied::RowsBefore;
use crate::sinks::standby::{Extras, Store, Unobserved, checkpoint};
use crate::sinks::{Error, checkpoints};
use crate::tape::{self, Entry, Reader, Transaction, Watermark};

/// Where checkpoints and tape are.
#[derive(Debug)]
pub struct Past {
    /// The checkpoints.
    pub checkpoint_dir: PathBuf,
    /// The tape.
    pub tape_dir: PathBuf,
    /// Its durable end.
    pub watermark: Watermark,
    /// The cluster that both are of.
    pub system_id: u64,
}

impl RowsBefore for Past {
    fn rows(
        &self,
        table: &TableName,
        position: Position,
        each: &mut dyn FnMut(Tuple<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let store = self.store(position)?;
        let Some(table) = store.table(table) else { return Ok(()) };
        let mut buffer = TupleBuffer::default();
        for row in table.rows() {
            let old = buffer.fill(row.cells());
            for _ in 0..row.copies() {
                each(old)?;
            }
        }
        Ok(())
    }
}

impl Past {
    /// All tables just before the change at `position`; after it, where that is a whole commit.
    fn store(&self, position: Position) -> Result<Store, Error> {
        let until = if position.op == OP_ALL { position.lsn } else { Lsn(position.lsn.0.saturating_sub(1)) };
        let _held = checkpoints::hold(&self.checkpoint_dir).map_err(Error::io("hold", &self.checkpoint_dir))?;
        let all = checkpoints::list(&self.checkpoint_dir).map_err(Error::io("list", &self.checkpoint_dir))?;
        let base = all.iter().find(|checkpoint| checkpoint.point.1 <= until).ok_or_else(|| {
            let what = format!("no checkpoint is old enough to tell the rows at {position}");
            let hint = "it cannot be told any more: go on without it (pgtape kafka resume --skip), or begin anew \
                 (pgtape kafka reset)";
            Refusal::new(Kind::Tape, what, hint)
        })?;
        let view = checkpoint::read(&base.path, self.system_id).map_err(Error::io("read", &base.path))?;
        let mut store = Store::from_view(Arc::new(Extras::default()), view);
        let mut reader = Reader::open(&self.tape_dir, Position::whole(base.point.1), self.watermark.clone())?;
        while let Some(entry) = reader.next()? {
            match entry {
                Entry::Preamble(mut messages) => {
                    while let Some((_, raw)) = messages.next_message()? {
                        store.preamble(decode(raw)?);
                    }
                }
                Entry::Transaction(unit) if unit.head().kind == tape::Kind::Message => {}
                Entry::Transaction(unit) if unit.head().end_lsn <= until => apply(&mut store, unit, None)?,
                Entry::Transaction(unit) => {
                    if unit.head().end_lsn == position.lsn {
                        apply(&mut store, unit, Some(position.op))?;
                    }
                    break;
                }
                Entry::Progress(lsn) if lsn > until => break,
                Entry::Progress(_) | Entry::Gap(_) => {}
            }
        }
        Ok(store)
    }
}

/// Applies a unit, or its changes before the one with number `until`.
fn apply(store: &mut Store, mut transaction: Transaction<'_>, until: Option<u64>) -> Result<(), Error> {
    let head = transaction.head().clone();
    let unit = store.begin(&head, &mut Unobserved);
    let mut op = 0;
    while let Some((_, raw)) = transaction.next_message()? {
        if until.is_some_and(|until| op + ops(raw) > until) {
            return Ok(());
        }
        store.apply(&decode(raw)?, unit, &mut Unobserved)?;
        op += ops(raw);
    }
    store.commit(&head, unit, &mut Unobserved);
    Ok(())
}
