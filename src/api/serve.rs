//! Listening, and stopping gracefully.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::refusal::{Kind, Refusal};

pub use crate::ops::ADDRESS_FILE;

/// A service that listens and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    /// The real address, also when port 0 was asked for.
    pub address: SocketAddr,
    note: PathBuf,
}

/// Listens on `listen`; the address will be noted in `data_dir`.
pub async fn bind(listen: SocketAddr, data_dir: &Path) -> Result<Bound, Refusal> {
    let occupied = |e: std::io::Error| {
        let hint = "choose another address with --listen, or stop the program that has it";
        Refusal::new(Kind::Usage, format!("cannot listen on {listen}: {e}"), hint)
    };
    let listener = TcpListener::bind(listen).await.map_err(occupied)?;
    let address = listener.local_addr().map_err(occupied)?;
    let note = data_dir.join(ADDRESS_FILE);
    Ok(Bound { listener, address, note })
}

impl Bound {
    /// Notes the address, so that commands find the service. Only whoever owns the data directory may say so.
    pub fn note(&self) -> Result<(), Refusal> {
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&self.note)?;
            file.write_all(format!("{}\n", self.address).as_bytes())
        };
        write().map_err(|error: std::io::Error| {
            let what = format!("{} cannot be written: {error}", self.note.display());
            Refusal::new(Kind::Disk, what, "check the data directory")
        })
    }

    /// Answers requests until `stop`, then ends those that are being answered.
    pub async fn serve(self, router: Router, stop: CancellationToken) -> std::io::Result<()> {
        let result = axum::serve(self.listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        // A file that stays after a kill is harmless: commands say that nobody answers there.
        let _ = std::fs::remove_file(&self.note);
        result
    }
}
