//! Small files that must never be half written or half believed: cursors, and whatever else needs the same care.
//!
//! ```text
//! | "PGTC" | version u32 | length u32 | CRC32C u32 over the 12 bytes before and the content | content |
//! ```
//!
//! Invariant: written under a temporary name, fsynced, renamed, and the directory fsynced. A file that cannot be read
//! is refused, never taken for an absent one: starting at zero would repeat everything.

use std::io;
use std::path::{Path, PathBuf};

use super::fields::{Builder, Fields};
use super::format::Fault;
use super::{Error, TapeId, Watermark, disk};
use crate::model::{Lsn, Position};

const MAGIC: [u8; 4] = *b"PGTC";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;

/// Puts `content` into the file at `path`, atomically and durably.
pub fn save_checked(path: &Path, content: &[u8]) -> Result<(), Error> {
    let length = u32::try_from(content.len()).expect("a checked file is small");
    let head = Builder::default().raw(&MAGIC).u32(VERSION).u32(length).0;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), content);
    disk::replace(path, &Builder(head).u32(crc).raw(content).0)
}

/// The content of the file at `path`; `None` if there is no such file. A file that does not check out is refused.
pub fn load_checked(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path, e)),
    };
    content(&bytes).map(|content| Some(content.to_vec())).map_err(|fault| Error::damaged(path, 0, fault))
}

fn content(bytes: &[u8]) -> Result<&[u8], Fault> {
    let (head, content) = bytes.split_at_checked(HEADER_BYTES).ok_or(Fault::Truncated)?;
    let mut fields = Fields::new(&head[4..]);
    let (version, length, crc) = (fields.u32()?, fields.u32()?, fields.u32()?);
    if head[..4] != MAGIC {
        return Err(Fault::Magic);
    }
    if u32::try_from(content.len()) != Ok(length) {
        return Err(Fault::Truncated);
    }
    if crc32c::crc32c_append(crc32c::crc32c(&head[..12]), content) != crc {
        return Err(Fault::Checksum);
    }
    if version == VERSION { Ok(content) } else { Err(Fault::Newer(format!("cursor format {version}"))) }
}

/// How far a consumer has come, on which tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The tape.
    pub tape: TapeId,
    /// The epoch of the position.
    pub epoch: u32,
    /// Everything up to here is done, durably.
    pub position: Position,
}

/// The file of a cursor.
#[derive(Debug, Clone)]
pub struct CursorFile {
    path: PathBuf,
}

impl CursorFile {
    /// The cursor kept at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The cursor; `None` if none was ever saved. An unreadable file is refused.
    pub fn load(&self) -> Result<Option<Cursor>, Error> {
        let Some(content) = load_checked(&self.path)? else { return Ok(None) };
        let mut fields = Fields::new(&content);
        let mut decode = || {
            let (tape, epoch) = (TapeId(fields.bytes16()?), fields.u32()?);
            Ok(Cursor { tape, epoch, position: Position { lsn: fields.lsn()?, op: fields.u64()? } })
        };
        decode().map(Some).map_err(|fault: Fault| Error::damaged(&self.path, 0, fault))
    }

    /// Forgets the cursor.
    pub fn remove(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &self.path, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Saves the cursor durably. It must not be past the tape's durable end.
    pub fn save(&self, cursor: &Cursor, durable: &Watermark) -> Result<(), Error> {
        let newest = durable.lsn();
        if cursor.position.lsn > newest {
            return Err(Error::Outside { after: cursor.position.lsn, oldest: Lsn::ZERO, newest });
        }
        let content = Builder::default().raw(&cursor.tape.0).u32(cursor.epoch).lsn(cursor.position.lsn);
        save_checked(&self.path, &content.u64(cursor.position.op).0)
    }
}

/// How far a writer was durable when it last had a reason to say so: at a roll, at its start and at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) tape: TapeId,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) lsn: Lsn,
}

impl Saved {
    fn path(dir: &Path) -> PathBuf {
        dir.join("durable")
    }

    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, Error> {
        let path = Self::path(dir);
        let Some(content) = load_checked(&path)? else { return Ok(None) };
        let mut fields = Fields::new(&content);
        let mut decode = || {
            let tape = TapeId(fields.bytes16()?);
            Ok(Self { tape, segment: fields.u64()?, offset: fields.u64()?, lsn: fields.lsn()? })
        };
        decode().map(Some).map_err(|fault: Fault| Error::damaged(&path, 0, fault))
    }

    pub(crate) fn save(&self, dir: &Path) -> Result<(), Error> {
        let content = Builder::default().raw(&self.tape.0).u64(self.segment).u64(self.offset).lsn(self.lsn).0;
        save_checked(&Self::path(dir), &content)
    }
}

#[cfg(test)]
mod tests {
    use super::super::End;
    use super::*;

    #[test]
    fn a_cursor_is_kept_never_past_durable_and_refused_when_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("standby.cursor");
        let file = CursorFile::new(&path);
        assert_eq!(file.load().unwrap(), None);
        let durable = Watermark::new(End { lsn: Lsn(100), ..End::default() });
        let cursor = Cursor { tape: TapeId([3; 16]), epoch: 2, position: Position::whole(Lsn(100)) };
        file.save(&cursor, &durable).unwrap();
        assert_eq!(file.load().unwrap(), Some(cursor));
        let ahead = Cursor { position: Position::whole(Lsn(101)), ..cursor };
        assert!(matches!(file.save(&ahead, &durable), Err(Error::Outside { .. })));
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(&path, &bad).unwrap();
            assert!(matches!(file.load(), Err(Error::Refused(_))), "byte {at}");
        }
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(file.load(), Err(Error::Refused(_))));
    }
}
