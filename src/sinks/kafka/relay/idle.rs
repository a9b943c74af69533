//! Waiting at the tape's end: for more, for a command, for a time, for the stop.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::handle::Command;
use crate::tape::{End, Watermark};

/// What a sink waits with.
pub(super) struct Idle {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) watermark: Watermark,
    pub(super) cancel: CancellationToken,
}

/// What ended a wait.
pub(super) enum Woken {
    /// The tape has grown, or the time has come.
    Look,
    /// Somebody asks something.
    Command(Command),
    /// The service ends.
    Stop,
}

impl Idle {
    /// Waits until the tape's end is not `end` any more, or until `at`.
    pub(super) fn wait(&mut self, end: End, at: Option<Instant>) -> Woken {
        let Self { runtime, commands, watermark, cancel } = self;
        let time = async {
            match at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Woken::Stop,
                Some(command) = commands.recv() => Woken::Command(command),
                _ = watermark.past(end) => Woken::Look,
                () = time => Woken::Look,
            }
        })
    }

    /// Waits for a command; `None`: the service ends.
    pub(super) fn command(&mut self) -> Option<Command> {
        let Self { runtime, commands, cancel, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                () = cancel.cancelled() => None,
                command = commands.recv() => command,
            }
        })
    }

    /// Waits for some time; `false`: the service ends. Commands wait.
    pub(super) fn pause(&self, time: Duration) -> bool {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.cancel.cancelled() => false,
                () = tokio::time::sleep(time) => true,
            }
        })
    }
}
