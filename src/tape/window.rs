//! Reads frames of one segment file through a buffer.
//!
//! Invariant: never reads at or past the limit it is given (a follower's limit is the durable end), and allocates no
//! more than lies below it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::format::{Fault, HEADER_BYTES, Header, decode_frame, to_u64, to_usize};
use super::{Error, disk};

/// Bytes read at once.
const CHUNK_BYTES: u64 = 256 << 10;
/// A longer buffer is given back once it is not needed, bytes.
const CHUNK_BYTES_KEPT: usize = 4 << 20;

/// What stands at an offset.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A good frame: its header and its payload as stored.
    Frame(Header, &'a [u8]),
    /// The limit.
    End,
    /// No good frame.
    Bad(Fault),
}

/// A segment file with a buffer.
#[derive(Debug)]
pub(crate) struct Window {
    file: File,
    path: PathBuf,
    chunk: Vec<u8>,
    at: u64,
}

impl Window {
    /// Opens segment `number` to be read.
    pub(crate) fn open(dir: &Path, number: u64) -> Result<Self, Error> {
        let path = disk::segment_path(dir, number);
        let file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        Ok(Self::new(file, path))
    }

    /// Reads `file`, whose name is `path`.
    pub(crate) fn new(file: File, path: PathBuf) -> Self {
        Self { file, path, chunk: Vec::new(), at: 0 }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, to be written on.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Forgets what was read: the file may have been cut.
    pub(crate) fn forget(&mut self) {
        self.chunk.clear();
    }

    /// Bytes of the file now.
    pub(crate) fn length(&self) -> Result<u64, Error> {
        Ok(self.file.metadata().map_err(|e| Error::io("look at", &self.path, e))?.len())
    }

    /// The frame at `at`, its CRC checked, its place in the chain not.
    pub(crate) fn frame(&mut self, at: u64, limit: u64) -> Result<Found<'_>, Error> {
        if at >= limit {
            return Ok(Found::End);
        }
        let Some(bytes) = self.fetch(at, HEADER_BYTES, limit)? else { return Ok(Found::Bad(Fault::Truncated)) };
        let length = match Header::bounds(bytes.first_chunk().expect("as long as a header")) {
            Ok(length) => length,
            Err(fault) => return Ok(Found::Bad(fault)),
        };
        match self.fetch(at, to_usize(length), limit)? {
            Some(bytes) => Ok(match decode_frame(bytes) {
                Ok((header, payload)) => Found::Frame(header, payload),
                Err(fault) => Found::Bad(fault),
            }),
            None => Ok(Found::Bad(Fault::Truncated)),
        }
    }

    /// The header at `at`, its CRC *not* checked; `None` at the limit.
    pub(crate) fn peek(&mut self, at: u64, limit: u64) -> Result<Option<Result<Header, Fault>>, Error> {
        if at >= limit {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        if limit - at < to_u64(HEADER_BYTES) || self.read(at, &mut bytes)? < HEADER_BYTES {
            return Ok(Some(Err(Fault::Truncated)));
        }
        Ok(Some(Header::decode(&bytes)))
    }

    /// `length` bytes at `at`; `None` where the file or the limit ends before.
    pub(crate) fn fetch(&mut self, at: u64, length: usize, limit: u64) -> Result<Option<&[u8]>, Error> {
        let wanted = to_u64(length);
        let held = self.at..self.at + to_u64(self.chunk.len());
        if !(held.contains(&at) && wanted <= held.end - at) {
            if limit.saturating_sub(at) < wanted {
                return Ok(None);
            }
            self.fill(at, wanted.max(CHUNK_BYTES).min(limit - at))?;
        }
        let start = to_usize(at - self.at);
        Ok(self.chunk.get(start..start + length))
    }

    fn fill(&mut self, at: u64, length: u64) -> Result<(), Error> {
        // The file may be shorter than a limit that somebody claims.
        let length = length.min(self.length()?.saturating_sub(at));
        let mut chunk = std::mem::take(&mut self.chunk);
        if chunk.capacity() > CHUNK_BYTES_KEPT && length <= CHUNK_BYTES {
            chunk = Vec::new();
        }
        chunk.resize(to_usize(length), 0);
        let found = self.read(at, &mut chunk)?;
        chunk.truncate(found);
        (self.chunk, self.at) = (chunk, at);
        Ok(())
    }

    /// Reads until `bytes` is full or the file ends; returns how many.
    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        while done < bytes.len() {
            match self.file.read_at(&mut bytes[done..], at + to_u64(done)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", &self.path, e)),
            }
        }
        Ok(done)
    }
}
