//! The newest segment, written: frames are appended, synced, and the segment is rolled.
//!
//! Invariant: `synced <= written <= state.offset`. The first failed write or sync is final: after it nothing is written
//! or synced again, because a second fsync can succeed although the bytes are gone.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::bodies::{Footer, SegmentHead};
use super::chain::Chain;
use super::disk::{self, fail_here};
use super::format::{Codec, FLAG_SCHEMA, FrameKind, Header, to_u64};
use super::pack::Packer;
use super::records::put_record;
use super::scan::State;
use super::{Error, Origin, TapeId};
use crate::model::Lsn;

/// Frames are handed to the system once this many bytes of them have gathered.
const WRITE_BYTES: usize = 1 << 20;
/// A longer buffer is given back after it was written, bytes.
const WRITE_BYTES_KEPT: usize = 4 << 20;

/// The number of a tape's first segment.
const NUMBER_FIRST: u64 = 1;

/// Appends to the newest segment.
#[derive(Debug)]
pub(crate) struct Appender {
    dir: PathBuf,
    path: PathBuf,
    file: File,
    number: u64,
    origin: Origin,
    /// Where the tape stands with everything appended.
    pub(crate) state: State,
    /// The epoch of frames during a copy, which does not count yet.
    pub(crate) copying: Option<u32>,
    /// Frames not yet written, up to `state.offset`.
    out: Vec<u8>,
    written: u64,
    synced: u64,
    packer: Option<Packer>,
    stopped: bool,
}

impl Appender {
    /// Makes the first segment of a new tape.
    pub(crate) fn first(dir: &Path, tape: TapeId, origin: Origin, compress: bool) -> Result<Self, Error> {
        let state = State {
            chain: Chain::start(tape),
            offset: 0,
            end: Lsn::ZERO,
            epoch: 0,
            copy_point: Lsn::ZERO,
            footer: Footer::default(),
            sealed: true,
        };
        let (file, state) = create(dir, NUMBER_FIRST, &origin, state, &[])?;
        Ok(Self::resume(dir, NUMBER_FIRST, file, origin, state, compress))
    }

    /// Goes on after `state` in segment `number`, of which everything is durable.
    pub(crate) fn resume(dir: &Path, number: u64, file: File, origin: Origin, state: State, compress: bool) -> Self {
        Self {
            dir: dir.to_owned(),
            path: disk::segment_path(dir, number),
            file,
            number,
            origin,
            state,
            copying: None,
            out: Vec::new(),
            written: state.offset,
            synced: state.offset,
            packer: compress.then(Packer::new),
            stopped: false,
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn synced(&self) -> u64 {
        self.synced
    }

    /// `Err` once anything has failed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.stopped { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Remembers a failure.
    pub(crate) fn final_if_failed<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.stopped |= result.is_err();
        result
    }

    /// Appends a frame; `state.end` is where the tape ends with it.
    pub(crate) fn append(&mut self, kind: FrameKind, flags: u16, payload: &[u8]) -> Result<(), Error> {
        self.check()?;
        assert!(!self.state.sealed, "a sealed segment takes no frames");
        let header = Header {
            kind,
            codec: Codec::Plain,
            flags,
            stored: 0,
            raw: u32::try_from(payload.len()).expect("payloads are bounded by PAYLOAD_BYTES_MAX"),
            crc: 0,
            previous: self.state.chain.previous,
            tape: self.state.chain.tape,
            sequence: self.state.chain.sequence,
            epoch: self.copying.unwrap_or(self.state.epoch),
            end: self.state.end,
            synced: self.synced,
        };
        let before = self.out.len();
        let packed = self.packer.as_mut().and_then(|packer| packer.pack(payload));
        let crc = match packed {
            Some(packed) => Header { codec: Codec::Zstd, ..header }.encode(packed, &mut self.out),
            None => header.encode(payload, &mut self.out),
        };
        self.state.offset += to_u64(self.out.len() - before);
        self.state.chain.advance(crc);
        self.state.footer.frames += u64::from(kind != FrameKind::Footer);
        if self.out.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// Hands the gathered frames to the system.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        let result = self.try_write();
        self.final_if_failed(result)
    }

    fn try_write(&mut self) -> Result<(), Error> {
        if self.out.is_empty() {
            return Ok(());
        }
        fail_here!("tape::before-write", &self.path);
        self.file.write_all_at(&self.out, self.written).map_err(|e| Error::io("write", &self.path, e))?;
        self.written += to_u64(self.out.len());
        self.out.clear();
        if self.out.capacity() > WRITE_BYTES_KEPT {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// Makes everything appended durable.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.check()?;
        self.write()?;
        if self.synced < self.written {
            let result = self.try_sync();
            self.final_if_failed(result)?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn try_sync(&self) -> Result<(), Error> {
        fail_here!("tape::before-sync", &self.path);
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))?;
        fail_here!("tape::after-sync", &self.path);
        Ok(())
    }

    /// Seals the segment, if it is not, and goes on in a new one of `origin` that begins with `preamble`.
    pub(crate) fn roll<M: AsRef<[u8]>>(&mut self, origin: &Origin, preamble: &[M]) -> Result<(), Error> {
        assert!(self.copying.is_none(), "a copy stays in one segment");
        self.check()?;
        if !self.state.sealed {
            self.sync()?;
            self.state.footer.last = self.state.end;
            let footer = self.state.footer.encode();
            self.append(FrameKind::Footer, 0, &footer)?;
            self.state.sealed = true;
            self.sync()?;
        }
        let messages: Vec<&[u8]> = preamble.iter().map(AsRef::as_ref).collect();
        let result = create(&self.dir, self.number + 1, origin, self.state, &messages);
        let (file, state) = self.final_if_failed(result)?;
        self.number += 1;
        self.path = disk::segment_path(&self.dir, self.number);
        (self.file, self.state, self.origin) = (file, state, origin.clone());
        (self.written, self.synced) = (state.offset, state.offset);
        Ok(())
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// Makes segment `number` after `before`: temporary name, head, fsync, rename, directory fsync.
fn create(dir: &Path, number: u64, origin: &Origin, before: State, preamble: &[&[u8]]) -> Result<(File, State), Error> {
    let mut state = State { offset: 0, sealed: false, footer: Footer::default(), ..before };
    let bytes = head_frames(number, origin, &mut state, preamble);
    let path = disk::segment_path(dir, number);
    let unfinished = disk::temporary(&path);
    fail_here!("tape::roll-before-create", &path);
    let mut file = disk::create(&unfinished)?;
    file.write_all(&bytes).map_err(|e| Error::io("write", &unfinished, e))?;
    fail_here!("tape::roll-before-sync", &path);
    file.sync_all().map_err(|e| Error::io("sync", &unfinished, e))?;
    fail_here!("tape::roll-before-rename", &path);
    std::fs::rename(&unfinished, &path).map_err(|e| Error::io("rename to", &path, e))?;
    fail_here!("tape::roll-before-dir-sync", &path);
    disk::sync_dir(dir)?;
    fail_here!("tape::roll-done", &path);
    Ok((file, state))
}

/// The frames at the head of a segment.
fn head_frames(number: u64, origin: &Origin, state: &mut State, preamble: &[&[u8]]) -> Vec<u8> {
    let head = SegmentHead { number, base: state.end, copy_point: state.copy_point, origin: origin.clone() };
    let mut frames = vec![(FrameKind::SegmentHeader, 0, head.encode())];
    if !preamble.is_empty() {
        let (mut records, mut previous) = (Vec::new(), 0);
        preamble.iter().for_each(|message| put_record(&mut records, &mut previous, Lsn::ZERO, message));
        frames.push((FrameKind::Preamble, FLAG_SCHEMA, records));
    }
    let mut bytes = Vec::new();
    for (kind, flags, payload) in frames {
        let header = Header {
            kind,
            codec: Codec::Plain,
            flags,
            stored: 0,
            raw: u32::try_from(payload.len()).expect("payloads are bounded by PAYLOAD_BYTES_MAX"),
            crc: 0,
            previous: state.chain.previous,
            tape: state.chain.tape,
            sequence: state.chain.sequence,
            epoch: state.epoch,
            end: state.end,
            synced: 0,
        };
        let crc = header.encode(&payload, &mut bytes);
        state.chain.advance(crc);
        state.footer.frames += 1;
    }
    state.offset = to_u64(bytes.len());
    bytes
}
