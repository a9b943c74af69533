//! The first copy: intent, slot with exported snapshot, rows, copy's end. One unit of the tape; nothing counts before
//! its commit, and a copy cut short is begun again with a new slot (the one slot that is dropped without being asked).

use crate::model::TableName;
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};
use crate::tape::{self, Intent};

use super::append::Appender;
use super::copy::{self, CopyError, Guard};
use super::error::{Doing, Error};
use super::prepare::Prepared;
use super::slot::{self, Created};
use super::{State, StatusHandle, server};

/// How often a copy is begun again because a table was truncated or rewritten under it.
const VOID_COPIES_MAX: u32 = 5;
/// While a slot waits for open transactions, they are named this often.
const NAME_BLOCKERS_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// How an attempt ended, if not with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is durable on the tape.
    Done,
    /// A table changed under it.
    Void,
}

/// Makes the slot and copies every published table onto the tape as `epoch`. May be cancelled: the caller abandons the
/// unit then, as after an error. `ours` is the slot that a copy cut short left behind, and is kept true: no other is ever
/// dropped.
pub(super) async fn first_copy(
    prepared: &Prepared,
    appender: &mut Appender,
    epoch: u32,
    ours: &mut Option<String>,
    status: &StatusHandle,
) -> Result<(), Error> {
    status.update(|s| s.state = State::Copying);
    appender.heartbeat.forget();
    for _ in 0..VOID_COPIES_MAX {
        if let Some(left) = ours {
            if slot::drop(&prepared.settings.address, left).await? {
                tracing::warn!(slot = left, "a copy was cut short: its slot is dropped and the copy begins again");
            }
            *ours = None;
        }
        match attempt(prepared, appender, epoch, ours, status).await? {
            Outcome::Done => return Ok(()),
            Outcome::Void => appender.abandon()?,
        }
    }
    let what = format!("in {VOID_COPIES_MAX} copies a table was truncated or rewritten each time");
    Err(Refusal::new(Kind::Server, what, "start again when no TRUNCATE, VACUUM FULL or rewriting ALTER TABLE runs")
        .into())
}

async fn attempt(
    prepared: &Prepared,
    appender: &mut Appender,
    epoch: u32,
    ours: &mut Option<String>,
    status: &StatusHandle,
) -> Result<Outcome, Error> {
    let (settings, version) = (&prepared.settings, prepared.server.version_number);
    let names = prepared.published();
    let tables: Vec<String> = names.iter().map(ToString::to_string).collect();
    intend(appender, &settings.slot, epoch, &tables)?;
    fail::fail_point!("source::before-slot");
    let session = pg::connect(&settings.address, Purpose::Control).await.doing("connect")?;
    let guard = Guard::note(&session, version, &settings.publication, &names).await?;
    let mut wire = server::connect_wire(&settings.address, &server::asking()).await?;
    *ours = Some(settings.slot.clone());
    let created = match name_blockers(&session, slot::create(&mut wire, version, &settings.slot, false)).await {
        // There is one, or there can be none: ours it is not, and the next start must not think so.
        Err(error @ Error::Refused(_)) => {
            *ours = None;
            intend(appender, "", epoch, &tables)?;
            return Err(error);
        }
        made => made?,
    };
    fail::fail_point!("source::after-slot");
    let scene = copy::look(settings, version, &created.snapshot, &names).await?;
    appender.writer.begin(tape::Begin {
        kind: tape::Kind::Copy,
        xid: 0,
        begin_lsn: created.point,
        commit_time_us: scene.time_us,
        tables,
    })?;
    let mut copying = copy::start(settings, &created.snapshot, &scene.tables);
    let mut rows = 0;
    while let Some(next) = copying.next().await {
        match next {
            Ok(batch) => {
                fail::fail_point!("source::mid-copy");
                for message in batch.messages() {
                    appender.push_copied(created.point, message)?;
                }
                rows += batch.rows;
                status.update(|s| s.copied_rows = rows);
            }
            Err(CopyError::Void(why)) => return Ok(void(&why)),
            Err(CopyError::Failed(error)) => return Err(error),
        }
    }
    fail::fail_point!("source::after-copy");
    if !guard.holds(&session, &scene.tables).await? {
        return Ok(void("a table was truncated or rewritten, or got or lost a partition"));
    }
    appender.writer.commit(created.point, created.point)?;
    appender.known.replaced(&names, &scene.tables);
    appender.find_heartbeat();
    appender.sync()?;
    // As it is counted everywhere: the heartbeat is not one of theirs.
    let tables = names.iter().filter(|name| &*name.schema != "pgtape").count();
    tracing::info!(rows, tables, position = %created.point, epoch, "first copy is on the tape");
    Ok(Outcome::Done)
}

/// The copy ended in a refusal: the slot that it made would keep WAL for nobody. Best effort; what could not be dropped is
/// known to the next start by the intent.
pub(super) async fn give_up(prepared: &Prepared, appender: &mut Appender, epoch: u32, ours: Option<String>) {
    let Some(slot) = ours else { return };
    let tables: Vec<String> = prepared.published().iter().map(ToString::to_string).collect();
    match slot::drop(&prepared.settings.address, &slot).await {
        // From here on a slot of that name is somebody else's.
        Ok(_) => match intend(appender, "", epoch, &tables) {
            Ok(()) => tracing::warn!(slot, "the copy was refused: its slot is dropped, and keeps no WAL"),
            Err(error) => {
                tracing::warn!(slot, %error, "the slot of the refused copy is dropped; note that on the tape")
            }
        },
        Err(error) => {
            tracing::warn!(slot, %error, "the copy was refused, and its slot still keeps WAL: drop it, or start again");
        }
    }
}

/// Says on the tape, durably, that a copy is due and which slot is its own.
fn intend(appender: &mut Appender, slot: &str, epoch: u32, tables: &[String]) -> Result<(), Error> {
    appender.writer.intent(Intent { slot: slot.to_owned(), epoch, tables: tables.to_vec() })?;
    appender.sync().map(|_durable| ())
}

fn void(why: &str) -> Outcome {
    tracing::warn!("the copy is void and begins again: {why}");
    Outcome::Void
}

/// Waits for the slot, and says for whom the slot waits.
async fn name_blockers(
    session: &Session,
    making: impl Future<Output = Result<Created, Error>>,
) -> Result<Created, Error> {
    let mut making = std::pin::pin!(making);
    loop {
        tokio::select! {
            made = &mut making => return made,
            () = tokio::time::sleep(NAME_BLOCKERS_EVERY) => {
                let pids = slot::blockers(session).await?;
                tracing::warn!(?pids, "the slot waits for open transactions of these server processes to end");
            }
        }
    }
}

/// What the tables are called in messages.
pub(super) fn list(names: &[TableName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
