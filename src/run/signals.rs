//! SIGTERM and SIGINT: the first asks for a drain, the second ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::refusal::{Kind, Refusal};

/// The exit code of a shell for a program that a second signal ended.
const ENDED_BY_SIGNAL: i32 = 130;

/// A token that the first signal cancels.
pub(super) fn stop_on_signal() -> Result<CancellationToken, Refusal> {
    let listen = |kind| {
        signal(kind).map_err(|e| Refusal::new(Kind::Usage, format!("signals cannot be taken: {e}"), "try again"))
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if !first {
                std::process::exit(ENDED_BY_SIGNAL);
            }
            tracing::info!("stopping: what is durable is confirmed, sinks write their positions");
            token.cancel();
        }
    });
    Ok(stop)
}
