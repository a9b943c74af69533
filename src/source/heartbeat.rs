//! The heartbeat row: written while captured tables change, seen on the stream, remembered beside the tape.
//!
//! A database that no longer holds the newest heartbeat the tape has seen was restored from an older copy. Invariants:
//! what is remembered is durable on the tape first; an idle database gets no writes from us.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::{Lsn, Relation, TableName};
use crate::pg::{self, Address, Error as PgError, Purpose, SqlState};
use crate::pgoutput::{Message, decode};
use crate::refusal::{Kind, Refusal};

/// The table.
pub(super) fn table() -> TableName {
    TableName::new("pgtape", "heartbeat")
}

const FILE: &str = "heartbeat";
const WRITE: &str = "INSERT INTO pgtape.heartbeat AS h (id, lsn, at) VALUES (1, pg_current_wal_insert_lsn(), now()) \
     ON CONFLICT (id) DO UPDATE SET lsn = greatest(h.lsn, excluded.lsn), at = excluded.at";

/// Writes the row now and then, as long as `activity` (transactions of other tables than this one) goes on.
pub(super) async fn write_now_and_then(
    address: Address,
    every: Duration,
    activity: Arc<AtomicU64>,
    cancel: CancellationToken,
) {
    let mut written_at = 0;
    let mut session = None;
    while cancel.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        let now = activity.load(Ordering::Relaxed);
        if now == written_at {
            continue;
        }
        let open = match session.take() {
            Some(open) => open,
            None => match pg::connect(&address, Purpose::Control).await {
                Ok(open) => open,
                Err(error) => {
                    tracing::debug!(%error, "connect for the heartbeat");
                    continue;
                }
            },
        };
        match open.execute(WRITE, &[]).await.map_err(PgError::from) {
            Ok(_) => {
                written_at = now;
                session = Some(open);
            }
            Err(error) if error.is(&SqlState::INSUFFICIENT_PRIVILEGE) || error.is(&SqlState::UNDEFINED_TABLE) => {
                tracing::info!(%error, "no heartbeat is written");
                return;
            }
            Err(error) => tracing::debug!(%error, "write the heartbeat"),
        }
    }
}

/// Where the heartbeat stands in the stream.
#[derive(Debug, Clone, Copy)]
struct Place {
    relation_id: u32,
    column: usize,
}

/// The newest heartbeat of the tape.
#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    place: Option<Place>,
    newest: Option<Lsn>,
    saved: Option<Lsn>,
}

impl Seen {
    /// Reads back what was remembered in `state_dir`.
    pub fn load(state_dir: &Path) -> Result<Self, Refusal> {
        let path = state_dir.join(FILE);
        let saved = match fs::read_to_string(&path) {
            Ok(text) => Some(parse(&text).ok_or_else(|| {
                let hint = "if it was damaged by hand, remove it: one check of the server is left out once";
                Refusal::new(Kind::Tape, format!("{} cannot be read", path.display()), hint)
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Refusal::new(Kind::Disk, format!("read {}: {error}", path.display()), "")),
        };
        Ok(Self { path, place: None, newest: saved, saved })
    }

    /// The newest heartbeat that is remembered.
    pub const fn newest_saved(&self) -> Option<Lsn> {
        self.saved
    }

    /// Learns where the heartbeat stands.
    pub fn find(&mut self, relation: Option<&Relation>) {
        self.place = relation.and_then(|r| Some(Place { relation_id: r.id, column: r.column("lsn")? }));
    }

    /// Looks at a row change, by its raw message; says whether it is of the heartbeat.
    pub fn note(&mut self, raw: &[u8]) -> bool {
        let Some(place) = self.place else { return false };
        if raw.get(1..5) != Some(&place.relation_id.to_be_bytes()[..]) {
            return false;
        }
        if let Ok(Message::Insert { new, .. } | Message::Update { new, .. }) = decode(raw) {
            let text = new.cells().nth(place.column).and_then(|cell| cell.text());
            let lsn = text.and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse().ok());
            self.newest = self.newest.max(lsn);
        }
        true
    }

    /// Remembers what is durable now. A failure is only said: the check is weaker by one heartbeat.
    pub fn save(&mut self) {
        let Some(newest) = self.newest.filter(|_| self.newest != self.saved) else { return };
        match write(&self.path, newest) {
            Ok(()) => self.saved = Some(newest),
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "remember the heartbeat"),
        }
    }

    /// Forgets it: the tape starts over.
    pub fn forget(&mut self) {
        self.newest = None;
        self.saved = None;
        let _ = fs::remove_file(&self.path); // Not there is as good.
    }
}

/// `0/16B3748 <crc32c of the LSN's text, hex>`
fn parse(text: &str) -> Option<Lsn> {
    let (lsn, crc) = text.trim_end().split_once(' ')?;
    let same = u32::from_str_radix(crc, 16).ok()? == crc32c::crc32c(lsn.as_bytes());
    lsn.parse().ok().filter(|_| same)
}

fn write(path: &Path, lsn: Lsn) -> std::io::Result<()> {
    let text = lsn.to_string();
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{text} {:08x}", crc32c::crc32c(text.as_bytes()))?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Identity};
    use crate::pgoutput::{Cell, encode_insert};

    #[test]
    fn the_newest_heartbeat_is_remembered_and_a_damaged_file_refused() {
        let dir = tempfile::tempdir().unwrap();
        let column = |name: &str| Column { name: name.into(), in_identity: false, type_oid: 25, type_modifier: -1 };
        let relation =
            Relation { id: 9, table: table(), identity: Identity::Default, columns: vec![column("id"), column("lsn")] };
        let mut seen = Seen::load(dir.path()).unwrap();
        seen.find(Some(&relation));
        for (id, lsn, ours) in [(9, "0/20", true), (9, "0/10", true), (8, "0/99", false)] {
            let mut raw = Vec::new();
            encode_insert(id, [Cell::Text(b"1"), Cell::Text(lsn.as_bytes())].into_iter(), &mut raw);
            assert_eq!(seen.note(&raw), ours);
        }
        assert_eq!(seen.newest_saved(), None, "not durable yet");
        seen.save();
        assert_eq!(Seen::load(dir.path()).unwrap().newest_saved(), Some(Lsn(0x20)));
        fs::write(dir.path().join(FILE), "0/21 00000000\n").unwrap();
        assert_eq!(Seen::load(dir.path()).unwrap_err().kind, Kind::Tape);
    }
}
