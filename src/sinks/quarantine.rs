//! Rows that a sink cannot use: kept, counted, shown, and contributing nothing until a later change of their key.
//!
//! One file a sink, mode 0600 (it holds rows), one JSON object a line, only ever appended: `added`, `cleared`,
//! `discarded`. What is listed is the fold of the lines, so the service and an operator's command may both write. A line
//! cut short by a crash is cut off; it was not acted on, for lines are synced before their effect is handed on.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::standby::Note;
use crate::model::Position;

/// Rows the standby's books cannot use are listed under this sink.
pub const STANDBY: &str = "standby";

/// Where the quarantined rows of a data directory are.
#[must_use]
pub fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join("quarantine")
}

/// Names an entry: sixteen hex digits, a function of table and key.
pub type EntryId = String;

/// A row in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name, for `discard`.
    pub id: EntryId,
    /// The table.
    pub table: String,
    /// The values of the key.
    pub key: Vec<Option<String>>,
    /// The row, by column.
    pub row: BTreeMap<String, Option<String>>,
    /// Why it cannot be used.
    pub reason: String,
    /// The commit by which it had come: rows are looked at when a batch of commits has been applied, so the row's own
    /// commit is this one or a little before.
    pub position: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Added(Entry),
    Cleared { id: EntryId },
    Discarded { id: EntryId },
}

/// The quarantine of one sink, as the service holds it: hashes only.
#[derive(Debug)]
pub struct Quarantine {
    file: File,
    read_to: u64,
    /// Lines read that say `added`: they are never taken back.
    added: u64,
    /// Hash of the content of each entry, and whether it is still listed.
    entries: HashMap<EntryId, (u64, bool)>,
}

/// How many rows a sink could not use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// On the list now.
    pub listed: u64,
    /// Ever, since the data directory began: those mended or discarded are in it. Never falls.
    pub total: u64,
}

/// The file of a sink.
fn path(dir: &Path, sink: &str) -> PathBuf {
    dir.join(format!("{sink}.ndjson"))
}

/// What an entry says, as one number.
fn content(entry: &Entry) -> u64 {
    let row: String = entry.row.iter().map(|(k, v)| format!("{k}\0{v:?}\0")).collect();
    xxh3_64(format!("{row}{}", entry.reason).as_bytes())
}

fn id(table: &str, key: &[Option<String>]) -> EntryId {
    format!("{:016x}", xxh3_64(format!("{table}\0{key:?}").as_bytes()))
}

impl Quarantine {
    /// Opens the quarantine of `sink` in `dir`, made if it is not there.
    pub fn open(dir: &Path, sink: &str) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = path(dir, sink);
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let mut quarantine = Self { file, read_to: 0, added: 0, entries: HashMap::new() };
        quarantine.refresh()?;
        if quarantine.file.metadata()?.len() > quarantine.read_to {
            quarantine.file.set_len(quarantine.read_to)?; // A line that was cut short.
        }
        Ok(quarantine)
    }

    /// Reads what has been appended since the last time, by whomever.
    fn refresh(&mut self) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        if end == self.read_to {
            return Ok(());
        }
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.read_to))?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            match parse(&line)? {
                Line::Added(entry) => {
                    self.added += 1;
                    self.entries.insert(entry.id.clone(), (content(&entry), true));
                }
                Line::Cleared { id } => drop(self.entries.remove(&id)),
                Line::Discarded { id } => {
                    self.entries.entry(id).and_modify(|(_, listed)| *listed = false);
                }
            }
            self.read_to += line.len() as u64;
            line.clear();
        }
        Ok(())
    }

    /// Writes down what changed, durably. What is known already is not written again.
    pub fn note(&mut self, notes: &[Note], position: Position) -> io::Result<()> {
        self.refresh()?;
        let mut out = Vec::new();
        for note in notes {
            let table = note.table.to_string();
            let id = id(&table, &note.key);
            let line = match &note.why {
                None if self.entries.remove(&id).is_none() => continue,
                None => Line::Cleared { id },
                Some(why) => {
                    let row = note.row.iter().cloned().collect();
                    let (key, reason, position) = (note.key.clone(), why.clone(), position.to_string());
                    let entry = Entry { id: id.clone(), table, key, row, reason, position };
                    let content = content(&entry);
                    if self.entries.get(&id).is_some_and(|(known, _)| *known == content) {
                        continue;
                    }
                    self.entries.insert(id, (content, true));
                    Line::Added(entry)
                }
            };
            serde_json::to_writer(&mut out, &line)?;
            out.push(b'\n');
        }
        if !out.is_empty() {
            self.file.write_all(&out)?;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Rows listed, and rows that ever were.
    pub fn count(&mut self) -> Count {
        if let Err(error) = self.refresh() {
            tracing::warn!(%error, "read a quarantine file");
        }
        let listed = self.entries.values().filter(|(_, listed)| *listed).count() as u64;
        Count { listed, total: self.added }
    }
}

fn parse(line: &str) -> io::Result<Line> {
    serde_json::from_str(line).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// The rows in quarantine for `sink`, in the order they came.
pub fn list(dir: &Path, sink: &str) -> io::Result<Vec<Entry>> {
    let file = match File::open(path(dir, sink)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries: Vec<Entry> = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let Ok(line) = serde_json::from_slice(&line?) else { continue }; // Being written right now.
        let gone = match &line {
            Line::Added(entry) => &entry.id,
            Line::Cleared { id } | Line::Discarded { id } => id,
        };
        entries.retain(|entry| entry.id != *gone);
        if let Line::Added(entry) = line {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The sinks that have a quarantine file in `dir`.
pub fn sinks(dir: &Path) -> io::Result<Vec<String>> {
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let name = |file: io::Result<std::fs::DirEntry>| {
        Ok::<_, io::Error>(file?.file_name().to_str().and_then(|n| n.strip_suffix(".ndjson")).map(str::to_owned))
    };
    let mut names: Vec<String> = files.map(name).filter_map(Result::transpose).collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Takes a row off the list: an operator has seen that it contributes nothing. It is listed again when it changes and
/// still cannot be used. `false`: there is no such entry.
pub fn discard(dir: &Path, sink: &str, id: &str) -> io::Result<bool> {
    if !list(dir, sink)?.iter().any(|entry| entry.id == id) {
        return Ok(false);
    }
    let mut line = serde_json::to_vec(&Line::Discarded { id: id.to_owned() })?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).open(path(dir, sink))?;
    file.write_all(&line)?;
    file.sync_data()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lsn, TableName};

    fn note(key: &str, why: Option<&str>) -> Note {
        let row = why.map(|_| vec![("amount".to_owned(), Some("NaN".to_owned()))]).unwrap_or_default();
        let why = why.map(str::to_owned);
        Note { table: TableName::new("s", "t"), key: vec![Some(key.to_owned())], row, why }
    }

    fn count(listed: u64, total: u64) -> Count {
        Count { listed, total }
    }

    fn keys(dir: &Path) -> Vec<String> {
        list(dir, "r").unwrap().into_iter().map(|e| e.key[0].clone().unwrap()).collect()
    }

    #[test]
    fn rows_come_go_and_survive_a_cut_line() {
        let dir = tempfile::tempdir().unwrap();
        let at = Position::whole(Lsn(7));
        let mut quarantine = Quarantine::open(dir.path(), "r").unwrap();
        quarantine.note(&[note("a", Some("amount is NaN")), note("b", Some("amount is NaN"))], at).unwrap();
        quarantine.note(&[note("a", None), note("never there", None)], at).unwrap();
        assert_eq!((keys(dir.path()), quarantine.count()), (vec!["b".to_owned()], count(1, 2)));
        drop(quarantine);
        let file = path(dir.path(), "r");
        std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"event\":\"cl").unwrap();
        let mut quarantine = Quarantine::open(dir.path(), "r").unwrap();
        quarantine.note(&[note("c", Some("amount is NaN"))], at).unwrap();
        assert_eq!((keys(dir.path()), quarantine.count()), (vec!["b".to_owned(), "c".to_owned()], count(2, 3)));
    }

    #[test]
    fn a_discarded_row_stays_away_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let at = Position::whole(Lsn(7));
        let mut quarantine = Quarantine::open(dir.path(), "r").unwrap();
        quarantine.note(&[note("a", Some("amount is NaN"))], at).unwrap();
        let id = list(dir.path(), "r").unwrap()[0].id.clone();
        assert!(discard(dir.path(), "r", &id).unwrap());
        assert!(!discard(dir.path(), "r", &id).unwrap());
        assert_eq!(quarantine.count(), count(0, 1), "what is discarded was quarantined all the same");
        quarantine.note(&[note("a", Some("amount is NaN"))], at).unwrap();
        assert_eq!(quarantine.count(), count(0, 1), "a replay does not bring it back");
        quarantine.note(&[note("a", Some("amount is infinite"))], at).unwrap();
        assert_eq!(quarantine.count(), count(1, 2));
    }

    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let _quarantine = Quarantine::open(dir.path(), "r").unwrap();
        assert_eq!(path(dir.path(), "r").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
