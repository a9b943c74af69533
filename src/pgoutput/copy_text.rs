//! A line of `COPY ... TO STDOUT (FORMAT text)` as the Insert message that Postgres would have sent.

use super::encode::length;

/// The line is not what `COPY TO` writes, or has another number of columns. Holds no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a copied row has {got} columns where {want} are published, or an escape that COPY does not write")]
pub struct CopyTextError {
    /// Columns of the table.
    pub want: u16,
    /// Columns of the line, as far as it was read.
    pub got: u16,
}

/// Appends the Insert message of `line` (with or without its newline) to `out`. On an error `out` is as it was.
pub fn insert_from_copy_text(
    relation_id: u32,
    columns: u16,
    line: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CopyTextError> {
    let start = out.len();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    out.push(b'I');
    out.extend_from_slice(&relation_id.to_be_bytes());
    out.push(b'N');
    out.extend_from_slice(&columns.to_be_bytes());
    let mut got = 0;
    let mut fields = line.split(|&byte| byte == b'\t');
    // A row of no columns is an empty line, and so is a row of one empty column.
    let good = (columns == 0 && line.is_empty())
        || fields.all(|field| {
            got += 1;
            got <= columns && push_field(field, out).is_some()
        }) && got == columns;
    if good {
        return Ok(());
    }
    out.truncate(start);
    Err(CopyTextError { want: columns, got })
}

fn push_field(field: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if field == b"\\N" {
        out.push(b'n');
        return Some(());
    }
    out.push(b't');
    let length_at = out.len();
    length(field.len(), out);
    let Some(first) = memchr::memchr(b'\\', field) else {
        out.extend_from_slice(field);
        return Some(());
    };
    out.extend_from_slice(&field[..first]);
    let mut rest = &field[first..];
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'\\' {
            let (&escaped, after) = after.split_first()?;
            out.push(unescape(escaped)?);
            rest = after;
        } else {
            out.push(byte);
            rest = after;
        }
    }
    let text_bytes = out.len() - length_at - 4;
    let text_bytes = i32::try_from(text_bytes).expect("Postgres limits a value to 1 GB");
    out[length_at..length_at + 4].copy_from_slice(&text_bytes.to_be_bytes());
    Some(())
}

/// The escapes that `COPY TO` writes (`CopyAttributeOutText`).
const fn unescape(byte: u8) -> Option<u8> {
    match byte {
        b'b' => Some(0x08),
        b'f' => Some(0x0c),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'v' => Some(0x0b),
        b'\\' => Some(b'\\'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgoutput::{Cell, Message, decode};

    fn check(line: &[u8], want: &[Cell<'_>]) {
        let mut out = b"kept".to_vec();
        insert_from_copy_text(5, u16::try_from(want.len()).unwrap(), line, &mut out).unwrap();
        let Message::Insert { relation_id: 5, new } = decode(&out[4..]).unwrap() else { panic!("not an Insert") };
        assert!(new.cells().eq(want.iter().copied()), "{line:?}");
    }

    #[test]
    fn lines_become_rows() {
        check(b"1\tx\n", &[Cell::Text(b"1"), Cell::Text(b"x")]);
        check(b"\\N\t\n", &[Cell::Null, Cell::Text(b"")]);
        check(b"a\\tb\\\\N\\n\\b\\f\\r\\v", &[Cell::Text(b"a\tb\\N\n\x08\x0c\r\x0b")]);
        check("ü\\\\\n".as_bytes(), &[Cell::Text("ü\\".as_bytes())]);
        check(b"\n", &[]);
        check(b"\n", &[Cell::Text(b"")]);
    }

    #[test]
    fn another_number_of_columns_or_a_foreign_escape_is_refused() {
        for (line, columns) in [(&b"1\t2"[..], 1), (b"1", 2), (b"\\x41", 1), (b"a\\", 1)] {
            let mut out = b"kept".to_vec();
            insert_from_copy_text(5, columns, line, &mut out).unwrap_err();
            assert_eq!(out, b"kept");
        }
    }
}
