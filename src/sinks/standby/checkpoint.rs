//! A view as a file, so that a restart reads neither Postgres nor the whole tape.
//!
//! ```text
//! file  := "PGTAPECK" version:u32  block*                         little-endian
//! block := length:u32  crc32c(length, payload):u32  payload
//! first block:  JSON, see `Meta`             last block:  "END" pages:u64
//! the others:   table:u32 { length:u32 page } x n                 pages as they are in memory
//! ```
//!
//! Invariant: a file under its final name is whole: written under a temporary name, synced, renamed, the directory synced.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::page::Page;
use super::rows::Rows;
use super::table::{Counters, Table};
use super::view::View;
use crate::model::{Lsn, Position, Relation};
use crate::pgoutput::{Lineage, Message, TableFacts, decode};

const MAGIC: &[u8; 8] = b"PGTAPECK";
const VERSION: u32 = 1;
/// Pages are gathered into blocks of about this size, bytes.
const BLOCK_BYTES: usize = 1 << 20;
/// A longer block is damage: a page holds at least one row, and Postgres bounds a row.
const BLOCK_BYTES_MAX: u32 = 2 << 30;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    lsn: u64,
    epoch: u32,
    commit_time_us: i64,
    transactions: u64,
    system_id: u64,
    tables: Vec<TableMeta>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableMeta {
    /// The relation, as a facts message.
    relation: String,
    /// The facts, as their message; empty if none are known.
    facts: String,
    columns: Vec<Option<usize>>,
    key: usize,
    counters: Counters,
    stale: bool,
    rows: u64,
}

/// Rows are in it: its owner alone may read it.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes `view` to `path`, which appears whole or not at all.
pub fn write(path: &Path, view: &View, system_id: u64) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = BufWriter::with_capacity(BLOCK_BYTES, create(&temporary)?);
    file.write_all(MAGIC)?;
    file.write_all(&VERSION.to_le_bytes())?;
    let meta = Meta {
        lsn: view.position.lsn.0,
        epoch: view.epoch,
        commit_time_us: view.commit_time_us,
        transactions: view.transactions,
        system_id,
        tables: view.tables().map(|table| describe(table)).collect(),
    };
    put_block(&mut file, &serde_json::to_vec(&meta)?)?;
    let mut pages = 0;
    for (number, table) in (0_u32..).zip(view.tables()) {
        pages += put_pages(&mut file, number, table)?;
    }
    put_block(&mut file, &[b"END".as_slice(), &u64::to_le_bytes(pages)].concat())?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(path.parent().expect("a file has a directory"))?.sync_all()
}

fn put_pages(file: &mut impl Write, number: u32, table: &Table) -> io::Result<u64> {
    let mut pages = 0;
    let mut block = number.to_le_bytes().to_vec();
    for page in table.rows.pages() {
        let bytes = page.bytes();
        block.extend_from_slice(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes());
        block.extend_from_slice(bytes);
        pages += 1;
        if block.len() >= BLOCK_BYTES {
            put_block(file, &block)?;
            block.truncate(4);
            fail::fail_point!("sinks::checkpoint-middle", |_| Err(io::Error::other("failpoint")));
        }
    }
    if block.len() > 4 {
        put_block(file, &block)?;
    }
    Ok(pages)
}

fn put_block(file: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_le_bytes();
    file.write_all(&length)?;
    file.write_all(&crc32c::crc32c_append(crc32c::crc32c(&length), payload).to_le_bytes())?;
    file.write_all(payload)
}

fn describe(table: &Table) -> TableMeta {
    let text = |facts: &TableFacts| {
        let mut bytes = Vec::new();
        facts.encode(&mut bytes);
        String::from_utf8(bytes).expect("JSON is UTF-8")
    };
    let relation = Relation::clone(&table.relation);
    let (columns, key) = table.layout.to_parts();
    TableMeta {
        relation: text(&TableFacts {
            relation,
            primary_key: Vec::new(),
            indexes: Vec::new(),
            lineage: Lineage::default(),
        }),
        facts: table.facts.as_deref().map_or_else(String::new, text),
        columns: columns.to_vec(),
        key,
        counters: table.counters,
        stale: table.stale,
        rows: table.rows.len(),
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the checkpoint is damaged: {what}"))
}

/// Reads a view back, whole and checked, or not at all. Indexes and books are not in it.
pub fn read(path: &Path, system_id: u64) -> io::Result<View> {
    let mut file = BufReader::with_capacity(BLOCK_BYTES, File::open(path)?);
    let mut head = [0; 12];
    file.read_exact(&mut head)?;
    if head[..8] != *MAGIC {
        return Err(damaged("it is none"));
    }
    if head[8..] != VERSION.to_le_bytes() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "the checkpoint is of another version of pgtape"));
    }
    let mut block = Vec::new();
    take_block(&mut file, &mut block)?;
    let meta: Meta = serde_json::from_slice(&block).map_err(|_| damaged("its head cannot be read"))?;
    if meta.system_id != system_id {
        return Err(io::Error::other("the checkpoint is of another server"));
    }
    let mut tables: Vec<Table> =
        meta.tables.iter().map(restore).collect::<Option<_>>().ok_or_else(|| damaged("a table"))?;
    let mut pages = 0_u64;
    loop {
        take_block(&mut file, &mut block)?;
        if let Some(count) = block.strip_prefix(b"END") {
            if count != u64::to_le_bytes(pages) {
                return Err(damaged("pages are missing"));
            }
            break;
        }
        pages += take_pages(&block, &mut tables).ok_or_else(|| damaged("a block of rows"))?;
    }
    if tables.iter().zip(&meta.tables).any(|(table, meta)| table.rows.len() != meta.rows) {
        return Err(damaged("the number of rows"));
    }
    Ok(View {
        position: Position::whole(Lsn(meta.lsn)),
        epoch: meta.epoch,
        commit_time_us: meta.commit_time_us,
        transactions: meta.transactions,
        tables: tables.into_iter().map(|table| (table.name().clone(), Arc::new(table))).collect(),
        books: super::books::Books::default(),
    })
}

fn take_block(file: &mut impl Read, block: &mut Vec<u8>) -> io::Result<()> {
    let (mut length, mut crc) = ([0; 4], [0; 4]);
    file.read_exact(&mut length)?;
    file.read_exact(&mut crc)?;
    let bytes = u32::from_le_bytes(length);
    if bytes == 0 || bytes > BLOCK_BYTES_MAX {
        return Err(damaged("the length of a block"));
    }
    block.clear();
    // Grows with what is there, not with what is announced.
    let read = file.take(u64::from(bytes)).read_to_end(block)?;
    let whole = u32::try_from(read) == Ok(bytes);
    if !whole || crc32c::crc32c_append(crc32c::crc32c(&length), block) != u32::from_le_bytes(crc) {
        return Err(damaged("a block's checksum"));
    }
    Ok(())
}

fn take_pages(block: &[u8], tables: &mut [Table]) -> Option<u64> {
    let (number, mut rest) = block.split_first_chunk::<4>()?;
    let table = tables.get_mut(usize::try_from(u32::from_le_bytes(*number)).ok()?)?;
    let mut pages = 0;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (page, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        table.rows.push_page(Page::from_bytes(page)?)?;
        rest = after;
        pages += 1;
    }
    Some(pages)
}

fn restore(meta: &TableMeta) -> Option<Table> {
    let facts = |text: &str| match decode(text.as_bytes()) {
        Ok(Message::Facts(facts)) => Some(facts),
        Ok(_) | Err(_) => None,
    };
    let relation = facts(&meta.relation)?.relation;
    let layout = Layout::from_parts(meta.columns.clone(), meta.key, relation.columns.len())?;
    Some(Table {
        rows: Rows::new(layout.is_bag()),
        facts: if meta.facts.is_empty() { None } else { Some(Arc::new(facts(&meta.facts)?)) },
        relation: Arc::new(relation),
        layout: Arc::new(layout),
        indexes: Vec::new(),
        counters: meta.counters,
        stale: meta.stale,
        absent: false,
        learned: super::bag::Learned::default(),
    })
}
