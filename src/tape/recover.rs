//! What a writer does with the tape of the writer before it.
//!
//! Invariant: nothing below what is proven durable (the slot's confirmed LSN, every cursor, the saved durable offset,
//! and what later frames say was synced) is ever cut. Damage there is refused, with file and offset. A tail that was
//! only in flight is cut, kept in a `.broken` file, and the cut is fsynced before anything is appended.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;

use super::bodies::FOOTER_FRAME_BYTES;
use super::cursor::Saved;
use super::disk::{self, fail_here};
use super::format::{ALIGN_BYTES, Fault, FrameKind, HEADER_BYTES, Header, MAGIC, to_u64};
use super::scan::{Scan, State};
use super::window::{Found, Window};
use super::{Begin, Error, Intent, Origin, Proof};
use crate::model::Lsn;
use crate::refusal::{Kind, Refusal};

/// Bytes copied at once into a `.broken` file.
const COPY_BYTES: u64 = 1 << 20;

/// A tape ready to be continued.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) number: u64,
    pub(crate) file: File,
    pub(crate) state: State,
    pub(crate) origin: Origin,
    /// The schema messages in force.
    pub(crate) schema: Vec<Bytes>,
    /// A large unit that did not end: to be abandoned before anything follows.
    pub(crate) unfinished: Option<Begin>,
    /// A copy that did not end, now cut off.
    pub(crate) cut_copy: Option<Intent>,
}

/// Recovers the tape in `dir`, whose lock is held, for the server `origin`. `None`: there is no tape yet.
pub(crate) fn recover(dir: &Path, origin: &Origin, proof: &Proof) -> Result<Option<Tail>, Error> {
    disk::remove_temporaries(dir)?;
    disk::sync_dir(dir)?;
    let numbers = disk::segments(dir)?;
    let saved = Saved::load(dir)?;
    let Some((&number, sealed)) = numbers.split_last() else {
        // A slot that is ahead of no tape at all is its caller's to judge: the slot may be another tape's.
        let lost = match saved {
            Some(saved) => Some(("the saved durable offset".to_owned(), saved.lsn)),
            None => proven(&Proof { confirmed: Lsn::ZERO, ..proof.clone() }),
        };
        return match lost {
            Some((who, lsn)) => Err(short(dir, Lsn::ZERO, &who, lsn)),
            None => Ok(None),
        };
    };
    let before = check_sealed(dir, sealed)?;
    let path = disk::segment_path(dir, number);
    let mut window = Window::new(disk::open_distrusting(&path)?, path);
    let length = window.length()?;
    let (mut scan, fault) = walk(&mut window, number, before.as_ref(), length)?;
    check_origin(dir, &scan.head.origin, origin)?; // First: what another server confirmed proves nothing here.
    check_saved(dir, saved, number, &scan.state)?;
    // While a copy is pending, the slot is one that the copy made: it stands at the copy's point, nothing was confirmed.
    let confirmed = if scan.pending_copy().is_some() { Lsn::ZERO } else { proof.confirmed };
    let proof = &Proof { confirmed, ..proof.clone() };
    check_proof(proof, window.path(), &scan.state, fault.as_ref())?;
    if let Some(fault) = fault {
        check_unproven(&mut window, &scan.state, length, &fault)?;
        cut_tail(dir, &window, scan.state.offset, length)?;
    }
    let mut tail = Tail {
        number,
        file: window.into_file(),
        state: scan.state,
        origin: scan.head.origin.clone(),
        schema: scan.take_schema(),
        unfinished: scan.unfinished().cloned(),
        cut_copy: None,
    };
    if let Some((intent, before)) = scan.pending_copy() {
        cut_copy(dir, &mut tail, intent, *before)?;
    }
    Ok(Some(tail))
}

/// Timeline, slot and publication may change in a tape's life; the server and the database may not.
fn check_origin(dir: &Path, tape: &Origin, server: &Origin) -> Result<(), Error> {
    if (tape.system_id, tape.database_oid) == (server.system_id, server.database_oid) {
        return Ok(());
    }
    Err(Error::Refused(Refusal::new(
        Kind::Tape,
        format!(
            "the tape in {} is of system {}, database {}; this server is system {}, database {}",
            dir.display(),
            tape.system_id,
            tape.database_oid,
            server.system_id,
            server.database_oid
        ),
        "choose the --data-dir of this database, or a new one",
    )))
}

/// The highest LSN that somebody outside has proven, and who.
fn proven(proof: &Proof) -> Option<(String, Lsn)> {
    let cursors = proof.cursors.iter().map(|(name, lsn)| (format!("consumer '{name}'"), *lsn));
    let confirmed = std::iter::once(("the slot".to_owned(), proof.confirmed));
    confirmed.chain(cursors).max_by_key(|(_who, lsn)| *lsn).filter(|(_who, lsn)| *lsn > Lsn::ZERO)
}

fn short(dir: &Path, end: Lsn, who: &str, lsn: Lsn) -> Error {
    Error::Refused(Refusal::new(
        Kind::Tape,
        format!("the tape in {} ends at {end}, but {who} is already at {lsn}: synced bytes are missing", dir.display()),
        "restore the directory as it was; or, to go on without what is missing, let `pgtape slot reset` take a new copy",
    ))
}

/// Refuses a tape that ends before what is proven; with a `fault`, its place is named.
fn check_proof(proof: &Proof, path: &Path, state: &State, fault: Option<&Fault>) -> Result<(), Error> {
    let Some((who, lsn)) = proven(proof).filter(|(_who, lsn)| *lsn > state.end) else { return Ok(()) };
    match fault {
        Some(fault) => {
            let why = format!("{fault}, and without what follows the tape ends at {}, below {lsn} of {who}", state.end);
            Err(Error::damaged(path, state.offset, why))
        }
        None => Err(short(disk::parent(path), state.end, &who, lsn)),
    }
}

fn check_saved(dir: &Path, saved: Option<Saved>, number: u64, state: &State) -> Result<(), Error> {
    let Some(saved) = saved else { return Ok(()) };
    if saved.tape != state.chain.tape {
        return Err(Error::damaged(&disk::segment_path(dir, number), 0, Fault::Tape));
    }
    if saved.segment > number || (saved.segment == number && saved.offset > state.offset) {
        return Err(Error::damaged(
            &disk::segment_path(dir, number),
            state.offset,
            format!("segment {} was durable up to offset {}", saved.segment, saved.offset),
        ));
    }
    Ok(())
}

/// Heads and footers of the sealed segments, and that each goes on where the one before ended.
fn check_sealed(dir: &Path, numbers: &[u64]) -> Result<Option<State>, Error> {
    let mut before: Option<State> = None;
    for &number in numbers {
        let path = disk::segment_path(dir, number);
        let mut window = Window::new(disk::open_distrusting(&path)?, path);
        before = Some(sealed_end(&mut window, number, before.as_ref())?);
    }
    Ok(before)
}

/// The state at the end of a sealed segment, from its head and its footer alone.
pub(crate) fn sealed_end(window: &mut Window, number: u64, before: Option<&State>) -> Result<State, Error> {
    let length = window.length()?;
    let mut state = start(window, number, before, length)?.state;
    let at = length.saturating_sub(to_u64(FOOTER_FRAME_BYTES));
    let found = match window.frame(at, length)? {
        Found::Frame(header, payload) if header.kind == FrameKind::Footer => footer_state(&mut state, &header, payload),
        Found::Frame(..) | Found::End => Err(Fault::Payload("no footer, though a later segment exists")),
        Found::Bad(fault) => Err(fault),
    };
    found.map_err(|fault| Error::damaged(window.path(), at, fault))?;
    state.offset = length;
    Ok(state)
}

fn footer_state(state: &mut State, header: &Header, payload: &[u8]) -> Result<(), Fault> {
    if header.tape != state.chain.tape {
        return Err(Fault::Tape);
    }
    state.footer = super::bodies::Footer::decode(payload)?;
    (state.end, state.epoch) = (header.end, header.epoch);
    (state.chain.sequence, state.chain.previous) = (header.sequence, header.previous);
    state.chain.advance(header.crc);
    state.sealed = true;
    Ok(())
}

/// Reads the head of a segment.
pub(crate) fn start(window: &mut Window, number: u64, before: Option<&State>, limit: u64) -> Result<Scan, Error> {
    let started = match window.frame(0, limit)? {
        Found::Frame(header, payload) => Scan::start(number, before, &header, payload),
        Found::End => Err(Fault::Truncated),
        Found::Bad(fault) => Err(fault),
    };
    started.map_err(|fault| Error::damaged(window.path(), 0, fault))
}

/// Walks a segment to its end or to the first bytes that are no good frame.
pub(crate) fn walk(
    window: &mut Window,
    number: u64,
    before: Option<&State>,
    limit: u64,
) -> Result<(Scan, Option<Fault>), Error> {
    let mut scan = start(window, number, before, limit)?;
    loop {
        match window.frame(scan.state.offset, limit)? {
            Found::Frame(header, payload) => {
                if let Err(fault) = scan.apply(&header, payload) {
                    return Ok((scan, Some(fault)));
                }
            }
            Found::End => return Ok((scan, None)),
            Found::Bad(fault) => return Ok((scan, Some(fault))),
        }
    }
}

/// Refuses damage that cannot be a torn tail: good bytes that make no sense, or a later frame that was written when the
/// damaged bytes were already synced.
fn check_unproven(window: &mut Window, state: &State, length: u64, fault: &Fault) -> Result<(), Error> {
    let offset = state.offset;
    let explained = match fault {
        Fault::Truncated | Fault::Zeros | Fault::Magic | Fault::Length(_) | Fault::Checksum => true,
        Fault::Tape | Fault::Sequence { .. } | Fault::Chain => true,
        Fault::Payload(_) | Fault::Newer(_) => false,
    };
    if !explained {
        return Err(Error::damaged(window.path(), offset, fault));
    }
    let mut at = offset + ALIGN_BYTES;
    while let Some(bytes) = window.fetch(at, HEADER_BYTES, length)? {
        let step = if bytes[..4] == MAGIC {
            match window.frame(at, length)? {
                Found::Frame(header, _payload) if header.tape == state.chain.tape && header.synced > offset => {
                    let why =
                        format!("{fault}, and the frame at {at} says that bytes up to {} were synced", header.synced);
                    return Err(Error::damaged(window.path(), offset, why));
                }
                Found::Frame(header, _payload) => header.frame_bytes(),
                Found::End | Found::Bad(_) => ALIGN_BYTES,
            }
        } else {
            ALIGN_BYTES
        };
        at += step;
    }
    Ok(())
}

/// Cuts a torn tail and keeps it beside the segment.
fn cut_tail(dir: &Path, window: &Window, offset: u64, length: u64) -> Result<(), Error> {
    let mut name = window.path().as_os_str().to_owned();
    name.push(format!(".{offset}.broken"));
    let kept = std::path::PathBuf::from(name);
    let mut copy = disk::create(&kept)?;
    let mut reader = Window::new(reopen(window.path())?, window.path().to_owned());
    let mut at = offset;
    while at < length {
        let count = COPY_BYTES.min(length - at);
        let Some(bytes) = reader.fetch(at, super::format::to_usize(count), length)? else { break };
        copy.write_all(bytes).map_err(|e| Error::io("write", &kept, e))?;
        at += count;
    }
    copy.sync_all().map_err(|e| Error::io("sync", &kept, e))?;
    disk::sync_dir(dir)?;
    fail_here!("tape::recover-before-cut", window.path());
    cut(window.file(), window.path(), offset)?;
    tracing::warn!(file = %window.path().display(), offset, bytes = length - offset, kept = %kept.display(), "cut a torn tail");
    Ok(())
}

fn reopen(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|e| Error::io("open", path, e))
}

fn cut(file: &File, path: &Path, offset: u64) -> Result<(), Error> {
    file.set_len(offset).map_err(|e| Error::io("cut", path, e))?;
    file.sync_all().map_err(|e| Error::io("sync", path, e))?;
    fail_here!("tape::recover-after-cut", path);
    Ok(())
}

/// Takes back a copy that never counted. Its bytes were synced, so the saved offset goes back first.
fn cut_copy(dir: &Path, tail: &mut Tail, intent: &Intent, before: State) -> Result<(), Error> {
    let path = disk::segment_path(dir, tail.number);
    Saved { tape: before.chain.tape, segment: tail.number, offset: before.offset, lsn: before.end }.save(dir)?;
    fail_here!("tape::recover-before-copy-cut", &path);
    cut(&tail.file, &path, before.offset)?;
    // A reset notes a copy that is due, of no tables yet: nothing was cut short.
    if intent.tables.is_empty() {
        tracing::info!(epoch = intent.epoch, slot = %intent.slot, "a reset was asked for: a new first copy is due");
    } else {
        tracing::warn!(epoch = intent.epoch, slot = %intent.slot, "cut off a first copy that had not ended");
    }
    tail.state = before;
    tail.unfinished = None;
    tail.cut_copy = Some(intent.clone());
    Ok(())
}
