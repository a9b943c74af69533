//! A record's lines on disk: encode, read back, rewrite.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use super::state::{Clock, InFlight, State};
use crate::model::Lsn;
use crate::refusal::{Kind, Refusal};
use crate::sim::actor::Effect;

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Header { record: String, seed: u64, start_us: i64, tick_us: i64, acknowledged: u64, lsn: String },
    Row(Effect),
    Begin(InFlight),
    Ack { number: u64, lsn: String },
}

impl Line {
    pub(super) fn header(state: &State) -> Self {
        Line::Header {
            record: state.name.clone(),
            seed: state.seed,
            start_us: state.clock.start_us,
            tick_us: state.clock.tick_us,
            acknowledged: state.acknowledged,
            lsn: state.lsn.to_string(),
        }
    }
}

pub(super) fn encode(line: &Line) -> String {
    let json = serde_json::to_string(line).expect("a line is plain data");
    format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes()))
}

fn decode(text: &str) -> Option<Line> {
    let (crc, json) = text.split_once(' ')?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    if crc != crc32c::crc32c(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

/// The content and the length up to the last whole line. `None`: not even the header is whole.
pub(super) fn read(path: &Path) -> Result<(Option<State>, u64), Error> {
    let failed = |source| Error::Io { doing: "read", path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let (mut state, mut good_bytes, mut text) = (None, 0, String::new());
    loop {
        text.clear();
        let bytes = reader.read_line(&mut text).map_err(failed)?;
        let Some(line) = text.strip_suffix('\n') else { return Ok((state, good_bytes)) };
        let line = decode(line).and_then(|line| take(&mut state, line));
        if line.is_none() {
            let what = format!("{} is damaged at byte {good_bytes}", path.display());
            return Err(Refusal::new(Kind::Disk, what, "the promises after it are lost; begin a new record").into());
        }
        good_bytes += bytes as u64;
    }
}

/// Applies a line; `None` when it cannot stand here.
fn take(state: &mut Option<State>, line: Line) -> Option<()> {
    match (line, state.as_mut()) {
        (Line::Header { record, seed, start_us, tick_us, acknowledged, lsn }, None) => {
            let mut fresh = State::new(&record, seed, Clock { start_us, tick_us });
            fresh.acknowledged = acknowledged;
            fresh.lsn = lsn.parse::<Lsn>().ok()?;
            *state = Some(fresh);
        }
        (Line::Row(effect), Some(state)) => state.set(effect),
        (Line::Begin(in_flight), Some(state)) => {
            // A record that was opened again repeats the event in flight without writing it again.
            if state.in_flight().is_some() || in_flight.number != state.acknowledged {
                return None;
            }
            state.begin(in_flight);
        }
        (Line::Ack { number, lsn }, Some(state)) => {
            if state.in_flight().is_none_or(|event| event.number != number) {
                return None;
            }
            state.acknowledge(lsn.parse().ok()?);
        }
        (Line::Header { .. }, Some(_)) | (Line::Row(_) | Line::Begin(_) | Line::Ack { .. }, None) => return None,
    }
    Some(())
}

/// Writes the content to a new file in place of the old: temporary name, fsync, rename, fsync of the directory.
pub(super) fn rewrite(path: &Path, state: &State) -> Result<(File, u64), Error> {
    let failed = |source| Error::Io { doing: "compact", path: path.to_owned(), source };
    assert!(state.in_flight().is_none(), "compaction stands between events");
    let temporary = path.with_extension("record.new");
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&temporary).map_err(failed)?;
    file.set_len(0).map_err(failed)?;
    let mut writer = BufWriter::new(&file);
    writer.write_all(encode(&Line::header(state)).as_bytes()).map_err(failed)?;
    for effect in state.effects() {
        writer.write_all(encode(&Line::Row(effect)).as_bytes()).map_err(failed)?;
    }
    writer.flush().map_err(failed)?;
    drop(writer);
    file.sync_all().map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(failed)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))?;
    let bytes = file.metadata().map_err(failed)?.len();
    Ok((file, bytes))
}

pub(super) fn sync_directory(dir: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { doing: "sync the directory", path: dir.to_owned(), source };
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}
