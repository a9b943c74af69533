//! Moves an idle stream: a reader waits for an LSN that the database has reached without a captured commit.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::status::Scene;
use crate::model::Lsn;
use crate::pg::{self, Purpose};
use crate::refusal::Refusal;
use crate::source;

/// Starts the nudger. What it returns never blocks: many wishes at a time are one message.
pub(super) fn start(scene: Arc<Scene>, stop: CancellationToken) -> Arc<dyn Fn(Lsn) + Send + Sync> {
    let (wish, mut wished) = watch::channel(Lsn::ZERO);
    tokio::spawn(async move {
        let work = async {
            while wished.changed().await.is_ok() {
                let lsn = *wished.borrow_and_update();
                if scene.tape.watermark.lsn() >= lsn {
                    continue;
                }
                if let Err(refusal) = emit(&scene).await {
                    tracing::debug!(%refusal, "an idle stream could not be moved");
                }
            }
        };
        stop.run_until_cancelled(work).await;
    });
    Arc::new(move |lsn| {
        wish.send_replace(lsn);
    })
}

async fn emit(scene: &Scene) -> Result<Lsn, Refusal> {
    let doing = "move an idle stream";
    let session = pg::connect(scene.config.address()?, Purpose::Control).await.map_err(|e| e.into_refusal(doing))?;
    source::emit_message(&session, "pgtape", "wake").await.map_err(source::Error::into_refusal)
}
