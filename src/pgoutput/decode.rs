//! Bytes to messages.

use super::message::{Begin, ColumnDescription, Commit, Logical, Message, OldKind, RelationDescription};
use super::tuple::take_cell;
use super::{FACTS_TAG, POSTGRES_EPOCH_US, TableFacts, Tuple};
use crate::model::{Identity, Lsn};

/// The bytes are not a message pgtape understands. Names the message's tag and where in it reading stopped, no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pgoutput message '{}' of {length} bytes cannot be read at byte {at}: {what}", tag.escape_ascii())]
pub struct DecodeError {
    /// First byte of the message; 0 if it is empty.
    pub tag: u8,
    /// Length of the message, in bytes.
    pub length: usize,
    /// Where reading stopped, in bytes from its start.
    pub at: usize,
    /// What was expected there.
    pub what: &'static str,
}

/// Reads one message, all of it.
pub fn decode(raw: &[u8]) -> Result<Message<'_>, DecodeError> {
    let mut input = Input { rest: raw };
    let message = match input.u8().map_err(|what| error(raw, raw.len(), what))? {
        b'B' => begin(&mut input),
        b'C' => commit(&mut input),
        b'O' => origin(&mut input),
        b'R' => relation(&mut input),
        b'Y' => type_name(&mut input),
        b'I' => insert(&mut input),
        b'U' => update(&mut input),
        b'D' => delete(&mut input),
        b'T' => truncate(&mut input),
        b'M' => logical(&mut input),
        FACTS_TAG => facts(&mut input),
        _ => Err("a message of pgoutput protocol 1"),
    };
    match message {
        Ok(message) if input.rest.is_empty() => Ok(message),
        Ok(_) => Err(error(raw, input.rest.len(), "the end of the message")),
        Err(what) => Err(error(raw, input.rest.len(), what)),
    }
}

fn error(raw: &[u8], left: usize, what: &'static str) -> DecodeError {
    DecodeError { tag: raw.first().copied().unwrap_or(0), length: raw.len(), at: raw.len() - left, what }
}

/// What was expected where reading stopped.
type Expected<T> = Result<T, &'static str>;

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn chunk<const N: usize>(&mut self) -> Expected<[u8; N]> {
        let (chunk, rest) = self.rest.split_first_chunk::<N>().ok_or("more bytes")?;
        self.rest = rest;
        Ok(*chunk)
    }

    fn u8(&mut self) -> Expected<u8> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Expected<u32> {
        self.chunk().map(u32::from_be_bytes)
    }

    fn lsn(&mut self) -> Expected<Lsn> {
        self.chunk().map(|bytes| Lsn(u64::from_be_bytes(bytes)))
    }

    /// A time stamp of Postgres, as microseconds since the Unix epoch.
    fn time_us(&mut self) -> Expected<i64> {
        let since_2000 = i64::from_be_bytes(self.chunk()?);
        since_2000.checked_add(POSTGRES_EPOCH_US).ok_or("a time in range")
    }

    fn cstr(&mut self) -> Expected<&'a str> {
        let end = memchr::memchr(0, self.rest).ok_or("a string that ends with a zero byte")?;
        let text = std::str::from_utf8(&self.rest[..end]).map_err(|_| "UTF-8")?;
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    fn bytes(&mut self, length: usize) -> Expected<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or("as many bytes as announced")?;
        self.rest = rest;
        Ok(bytes)
    }

    fn tuple(&mut self) -> Expected<Tuple<'a>> {
        let columns = self.chunk().map(u16::from_be_bytes)?;
        let start = self.rest;
        for _ in 0..columns {
            if self.rest.first() == Some(&b'b') {
                return Err("a value in text format, not binary");
            }
            (_, self.rest) = take_cell(self.rest).ok_or("a cell of the tuple")?;
        }
        Ok(Tuple::walked(columns, &start[..start.len() - self.rest.len()]))
    }

    fn old_kind(&mut self) -> Expected<OldKind> {
        match self.u8()? {
            b'K' => Ok(OldKind::Key),
            b'O' => Ok(OldKind::Full),
            _ => Err("'K' or 'O' before an old tuple"),
        }
    }

    fn new_tuple(&mut self) -> Expected<Tuple<'a>> {
        if self.u8()? == b'N' { self.tuple() } else { Err("'N' before a new tuple") }
    }
}

fn begin<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    let (final_lsn, commit_time_us, xid) = (input.lsn()?, input.time_us()?, input.u32()?);
    Ok(Message::Begin(Begin { final_lsn, commit_time_us, xid }))
}

fn commit<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    if input.u8()? != 0 {
        return Err("a commit without flags");
    }
    let (commit_lsn, end_lsn, commit_time_us) = (input.lsn()?, input.lsn()?, input.time_us()?);
    Ok(Message::Commit(Commit { commit_lsn, end_lsn, commit_time_us }))
}

fn origin<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    Ok(Message::Origin { lsn: input.lsn()?, name: input.cstr()? })
}

fn type_name<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    Ok(Message::Type { oid: input.u32()?, schema: input.cstr()?, name: input.cstr()? })
}

fn relation<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    let (id, schema, name) = (input.u32()?, input.cstr()?, input.cstr()?);
    let identity = match input.u8()? {
        b'd' => Identity::Default,
        b'n' => Identity::Nothing,
        b'f' => Identity::Full,
        b'i' => Identity::Index,
        _ => return Err("a replica identity"),
    };
    let count = input.chunk().map(u16::from_be_bytes)?;
    let mut columns = Vec::new(); // Grows only as far as there are bytes.
    for _ in 0..count {
        let in_identity = input.u8()? & 1 == 1;
        let (name, type_oid) = (input.cstr()?, input.u32()?);
        let type_modifier = input.chunk().map(i32::from_be_bytes)?;
        columns.push(ColumnDescription { name, in_identity, type_oid, type_modifier });
    }
    let schema = if schema.is_empty() { "pg_catalog" } else { schema };
    Ok(Message::Relation(RelationDescription { id, schema, name, identity, columns }))
}

fn insert<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    Ok(Message::Insert { relation_id: input.u32()?, new: input.new_tuple()? })
}

fn update<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    let relation_id = input.u32()?;
    let old = match input.rest.first() {
        Some(b'K' | b'O') => Some((input.old_kind()?, input.tuple()?)),
        _ => None,
    };
    Ok(Message::Update { relation_id, old, new: input.new_tuple()? })
}

fn delete<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    Ok(Message::Delete { relation_id: input.u32()?, kind: input.old_kind()?, old: input.tuple()? })
}

fn truncate<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    let (count, options) = (input.u32()?, input.u8()?);
    let count = usize::try_from(count).map_err(|_| "a count of relations")?;
    let ids = input.bytes(count.checked_mul(4).ok_or("a count of relations")?)?;
    let relation_ids =
        ids.chunks_exact(4).map(|id| u32::from_be_bytes(id.try_into().expect("chunks of four"))).collect();
    Ok(Message::Truncate { relation_ids, cascade: options & 1 != 0, restart_identity: options & 2 != 0 })
}

fn logical<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    let transactional = input.u8()? & 1 == 1;
    let (lsn, prefix, length) = (input.lsn()?, input.cstr()?, input.u32()?);
    let content = input.bytes(usize::try_from(length).map_err(|_| "a length")?)?;
    Ok(Message::Logical(Logical { transactional, lsn, prefix, content }))
}

fn facts<'a>(input: &mut Input<'a>) -> Expected<Message<'a>> {
    let facts = TableFacts::from_json(input.rest).ok_or("facts of a table, as JSON")?;
    input.rest = &[];
    Ok(Message::Facts(facts))
}
