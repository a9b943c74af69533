//! THE ingest loop: receive, append, sync, confirm. One thread, one screen.
//!
//! Architecture invariant: nothing here reads a table or decides whether the stream may start; a message is borrowed from
//! the read buffer until it is on the tape.

use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::append::Appender;
use super::conversation::Conversation;
use super::error::Error;
use super::pace::{PAUSE, Pace};
use super::poll::Looked;
use super::receive::Event;
use super::refresh::Refresher;
use super::{State, StatusHandle};

/// Streams until `cancel` (then `Ok`) or an error. On return everything appended is durable, unless the tape failed.
pub(super) async fn ingest(
    appender: &mut Appender,
    mut server: Conversation,
    mut refresher: Refresher<'_>,
    catalog: &mut mpsc::Receiver<Looked>,
    status: &StatusHandle,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    status.update(|s| s.state = State::Streaming);
    let mut pace = Pace::new(Instant::now());
    loop {
        let mut asked = false;
        while let Some(event) = server.receiver.peek()? {
            if refresher.is_due(&event, appender) {
                match cancel.run_until_cancelled(refresher.write(appender, &mut server)).await {
                    Some(written) => written?,
                    None => break,
                }
                continue;
            }
            match event {
                Event::Data { wal_start, message } => appender.take(wal_start, message)?,
                Event::Keepalive { wal_end, reply } => {
                    appender.progress(wal_end)?;
                    asked |= reply;
                }
            }
            server.receiver.consume();
        }
        let now = Instant::now();
        if asked || appender.sync_due_at(now).is_some_and(|due| now >= due) {
            server.confirm(appender.sync()?);
            fail::fail_point!("source::before-confirm");
            status.update(|s| {
                s.durable = appender.writer.end();
                s.received = s.durable;
                s.server_end = s.server_end.max(s.durable); // Asked for once a second only.
                s.transactions = appender.units;
            });
        }
        server.received(appender.writer.end());
        server.answer(now, asked).await?;
        if pace.has_caught_up(server.receiver.heard(), now) {
            server.ask().await?; // Its answer says how far the stream is without a transaction.
        }
        if refresher.is_wanted(appender, now) {
            cancel.run_until_cancelled(refresher.hold(appender, &mut server)).await.unwrap_or(Ok(()))?;
        }
        let wakes = [appender.sync_due_at(now), pace.quiet_at(server.receiver.heard()), Some(server.due_at(now))];
        let wake = wakes.into_iter().flatten().min().expect("an update is always due");
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            bytes = server.receiver.fill() => {
                if pace.read(bytes?, Instant::now()) {
                    std::thread::sleep(PAUSE); // This thread has nothing else to do.
                }
            }
            Some(looked) = catalog.recv() => appender.known.compare_catalog(&looked?),
            () = sleep_until(wake.into()) => {}
        }
    }
    appender.abandon()?;
    server.confirm(appender.sync()?);
    status.update(|s| s.durable = appender.writer.end());
    server.finish().await;
    Ok(())
}
