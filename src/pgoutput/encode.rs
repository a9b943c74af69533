//! Messages to bytes: what copied rows and tests need. Each function appends to `out`, so that one buffer serves many.

use super::tuple::Cell;
use super::{Begin, Commit, Logical, OldKind, POSTGRES_EPOCH_US};
use crate::model::{Identity, Relation};

/// Appends Begin.
pub fn encode_begin(begin: &Begin, out: &mut Vec<u8>) {
    out.push(b'B');
    out.extend_from_slice(&begin.final_lsn.0.to_be_bytes());
    out.extend_from_slice(&(begin.commit_time_us - POSTGRES_EPOCH_US).to_be_bytes());
    out.extend_from_slice(&begin.xid.to_be_bytes());
}

/// Appends Commit.
pub fn encode_commit(commit: &Commit, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'C', 0]);
    out.extend_from_slice(&commit.commit_lsn.0.to_be_bytes());
    out.extend_from_slice(&commit.end_lsn.0.to_be_bytes());
    out.extend_from_slice(&(commit.commit_time_us - POSTGRES_EPOCH_US).to_be_bytes());
}

/// Appends Relation.
pub fn encode_relation(relation: &Relation, out: &mut Vec<u8>) {
    out.push(b'R');
    out.extend_from_slice(&relation.id.to_be_bytes());
    let schema = &*relation.table.schema;
    cstr(if schema == "pg_catalog" { "" } else { schema }, out);
    cstr(&relation.table.name, out);
    out.push(match relation.identity {
        Identity::Default => b'd',
        Identity::Nothing => b'n',
        Identity::Full => b'f',
        Identity::Index => b'i',
    });
    count(relation.columns.len(), out);
    for column in &relation.columns {
        out.push(u8::from(column.in_identity));
        cstr(&column.name, out);
        out.extend_from_slice(&column.type_oid.to_be_bytes());
        out.extend_from_slice(&column.type_modifier.to_be_bytes());
    }
}

/// Appends Type: `schema` and `name` are those of the base type where `oid` is a domain, as Postgres sends it.
pub fn encode_type(oid: u32, schema: &str, name: &str, out: &mut Vec<u8>) {
    out.push(b'Y');
    out.extend_from_slice(&oid.to_be_bytes());
    cstr(if schema == "pg_catalog" { "" } else { schema }, out);
    cstr(name, out);
}

/// Appends Insert.
pub fn encode_insert<'a>(relation_id: u32, new: impl ExactSizeIterator<Item = Cell<'a>>, out: &mut Vec<u8>) {
    out.push(b'I');
    out.extend_from_slice(&relation_id.to_be_bytes());
    tuple(b'N', new, out);
}

/// Appends Update. `old` and `new` have as many cells as the relation has columns.
pub fn encode_update<'a, I: ExactSizeIterator<Item = Cell<'a>>>(
    relation_id: u32,
    old: Option<(OldKind, I)>,
    new: I,
    out: &mut Vec<u8>,
) {
    out.push(b'U');
    out.extend_from_slice(&relation_id.to_be_bytes());
    if let Some((kind, old)) = old {
        tuple(old_tag(kind), old, out);
    }
    tuple(b'N', new, out);
}

/// Appends Delete.
pub fn encode_delete<'a>(
    relation_id: u32,
    kind: OldKind,
    old: impl ExactSizeIterator<Item = Cell<'a>>,
    out: &mut Vec<u8>,
) {
    out.push(b'D');
    out.extend_from_slice(&relation_id.to_be_bytes());
    tuple(old_tag(kind), old, out);
}

/// Appends Truncate, without options.
pub fn encode_truncate(relation_ids: &[u32], out: &mut Vec<u8>) {
    out.push(b'T');
    length(relation_ids.len(), out);
    out.push(0);
    for id in relation_ids {
        out.extend_from_slice(&id.to_be_bytes());
    }
}

/// Appends a logical message.
pub fn encode_logical(logical: &Logical<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'M', u8::from(logical.transactional)]);
    out.extend_from_slice(&logical.lsn.0.to_be_bytes());
    cstr(logical.prefix, out);
    length(logical.content.len(), out);
    out.extend_from_slice(logical.content);
}

const fn old_tag(kind: OldKind) -> u8 {
    match kind {
        OldKind::Key => b'K',
        OldKind::Full => b'O',
    }
}

fn cstr(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn count(columns: usize, out: &mut Vec<u8>) {
    let columns = u16::try_from(columns).expect("Postgres allows 1600 columns");
    out.extend_from_slice(&columns.to_be_bytes());
}

pub(super) fn length(bytes: usize, out: &mut Vec<u8>) {
    let bytes = i32::try_from(bytes).expect("Postgres limits a value to 1 GB");
    out.extend_from_slice(&bytes.to_be_bytes());
}

fn tuple<'a>(tag: u8, cells: impl ExactSizeIterator<Item = Cell<'a>>, out: &mut Vec<u8>) {
    out.push(tag);
    count(cells.len(), out);
    cells.for_each(|value| cell(value, out));
}

/// Appends a cell of a tuple.
pub(super) fn cell(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => out.push(b'n'),
        Cell::Unchanged => out.push(b'u'),
        Cell::Text(text) => {
            out.push(b't');
            length(text.len(), out);
            out.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Lsn, TableName};
    use crate::pgoutput::{Message, decode, ops};

    fn relation() -> Relation {
        let column =
            |name: &str, in_identity| Column { name: name.into(), in_identity, type_oid: 25, type_modifier: -1 };
        Relation {
            id: 16_384,
            table: TableName::new("a b", "c.d"),
            identity: Identity::Index,
            columns: vec![column("id", true), column("Ünit", false)],
        }
    }

    /// One of each message, with the number of ops it takes.
    fn samples() -> Vec<(Vec<u8>, u64)> {
        let row = || [Cell::Text(b"1"), Cell::Null].into_iter();
        let logical = |transactional| Logical { transactional, lsn: Lsn(7), prefix: "p", content: &[0, 1, 2] };
        let make = |ops: u64, write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            (out, ops)
        };
        vec![
            make(0, &|o| encode_begin(&Begin { final_lsn: Lsn(9), commit_time_us: 1_700_000_000_000_000, xid: 3 }, o)),
            make(0, &|o| encode_relation(&relation(), o)),
            make(1, &|o| encode_insert(1, row(), o)),
            make(1, &|o| encode_update(1, None, [Cell::Unchanged].into_iter(), o)),
            make(1, &|o| encode_update(1, Some((OldKind::Full, row())), row(), o)),
            make(1, &|o| encode_delete(1, OldKind::Key, row(), o)),
            make(3, &|o| encode_truncate(&[1, 2, 3], o)),
            make(1, &|o| encode_logical(&logical(true), o)),
            make(0, &|o| encode_logical(&logical(false), o)),
            make(0, &|o| encode_commit(&Commit { commit_lsn: Lsn(9), end_lsn: Lsn(12), commit_time_us: 5 }, o)),
        ]
    }

    #[test]
    fn what_is_written_is_read_and_counted() {
        for (bytes, want) in samples() {
            let message = decode(&bytes).unwrap();
            assert_eq!((message.ops(), ops(&bytes)), (want, want), "{message:?}");
        }
        let mut bytes = Vec::new();
        encode_relation(&relation(), &mut bytes);
        let Message::Relation(read) = decode(&bytes).unwrap() else { panic!("not a Relation") };
        assert_eq!(read.to_relation(), relation());
    }

    #[test]
    fn a_cut_or_lengthened_message_is_refused() {
        for (bytes, _) in samples() {
            for end in 0..bytes.len() {
                assert!(decode(&bytes[..end]).is_err(), "took {end} of {} bytes", bytes.len());
            }
            let longer = [&bytes[..], b"x"].concat();
            assert_eq!(decode(&longer).unwrap_err().what, "the end of the message");
        }
    }

    #[test]
    fn binary_values_and_unknown_messages_are_refused() {
        let check = |bytes: &[u8], what: &str| assert_eq!(decode(bytes).unwrap_err().what, what, "{bytes:?}");
        check(b"I\0\0\0\x01N\0\x01b\0\0\0\x01x", "a value in text format, not binary");
        check(b"I\0\0\0\x01N\0\x01t\xff\xff\xff\xff", "a cell of the tuple");
        check(b"S\0\0\0\x01\0", "a message of pgoutput protocol 1");
        check(b"T\xff\xff\xff\xff\0", "as many bytes as announced");
        check(b"", "more bytes");
    }

    #[test]
    fn errors_and_debug_never_show_values() {
        let mut bytes = Vec::new();
        encode_insert(1, [Cell::Text(b"secret")].into_iter(), &mut bytes);
        assert!(!format!("{:?}", decode(&bytes)).contains("secret"));
        bytes.pop();
        assert!(!decode(&bytes).unwrap_err().to_string().contains("secret"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tag in 0usize..12, rest in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let bytes = [&b"BCORYIUDTM@X"[tag..=tag], &rest].concat();
            if let Ok(message) = decode(&bytes) {
                proptest::prop_assert_eq!(message.ops(), ops(&bytes));
            }
        }
    }
}
