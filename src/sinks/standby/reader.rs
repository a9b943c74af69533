//! The read side of the standby: the newest view, and waiting for a newer one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::view::View;
use crate::model::{Lsn, Position};

/// Reads the standby. Never waits for the apply, and never makes it wait.
#[derive(Debug, Clone)]
pub struct StandbyReader {
    view: Arc<ArcSwap<View>>,
    position: watch::Receiver<Position>,
}

/// The standby did not reach a position in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the standby is at {position} and did not reach the wanted position in time")]
pub struct Behind {
    /// Where it is.
    pub position: Position,
}

impl StandbyReader {
    /// The newest view.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// A view that holds every commit up to `lsn`, waiting for it up to `timeout`.
    pub async fn wait_for(&self, lsn: Lsn, timeout: Duration) -> Result<Arc<View>, Behind> {
        let mut position = self.position.clone();
        let reached = position.wait_for(|p| *p >= Position::whole(lsn));
        match tokio::time::timeout(timeout, reached).await {
            Ok(Ok(_)) => Ok(self.view()),
            Ok(Err(_)) | Err(_) => Err(Behind { position: self.view().position }),
        }
    }

    /// The position, to watch.
    #[must_use]
    pub fn positions(&self) -> watch::Receiver<Position> {
        self.position.clone()
    }
}

/// Publishes views; the standby's writer holds it.
#[derive(Debug)]
pub struct Publisher {
    view: Arc<ArcSwap<View>>,
    position: watch::Sender<Position>,
}

impl Publisher {
    /// A publisher of an empty view, and its reader.
    #[must_use]
    pub fn new() -> (Self, StandbyReader) {
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let (sender, position) = watch::channel(Position::ZERO);
        (Self { view: Arc::clone(&view), position: sender }, StandbyReader { view, position })
    }

    /// Shows `view` from now on. Views only go forward: an older one (a restart from a checkpoint catches up) is not
    /// shown.
    pub fn publish(&self, view: View) {
        if view.position < self.view.load().position {
            return;
        }
        let position = view.position;
        self.view.store(Arc::new(view));
        self.position.send_replace(position);
    }
}
