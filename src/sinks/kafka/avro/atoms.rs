//! Avro's binary atoms.
//!
//! ```text
//! long    := 7 bits a byte, lowest first, the high bit says that more follow; zigzag: 0, -1, 1, -2 ..
//! string  := long(length) bytes
//! union   := long(number of the branch) value         ["null", T]: 00, or 02 and the value
//! array   := [ long(items) item* ] 00
//! record  := its fields, one after the other
//! ```

use crate::sinks::kafka::encode::Atoms;

const NOT_A_FLOAT: &str = "is not a floating point number";

/// Writes values as Avro.
#[derive(Debug, Clone, Copy)]
pub struct Avro;

impl Atoms for Avro {
    const SCHEMALESS: bool = false;
    const DIMENSIONS_MAX: (usize, &'static str) = (1, "has several dimensions, which Avro's schema has no place for");

    fn some(out: &mut Vec<u8>) {
        out.push(2);
    }

    fn none(out: &mut Vec<u8>) {
        out.push(0);
    }

    fn boolean(truth: bool, out: &mut Vec<u8>) {
        out.push(u8::from(truth));
    }

    fn digits(digits: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        put_long(parsed.ok_or("is no integer of 64 bits")?, out);
        Ok(())
    }

    fn integer(number: i64, out: &mut Vec<u8>) {
        put_long(number, out);
    }

    fn single(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let number: f32 = checked_float(text)?.parse().map_err(|_| NOT_A_FLOAT)?;
        out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn double_of(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let number: f64 = checked_float(text)?.parse().map_err(|_| NOT_A_FLOAT)?;
        Self::double(number, out);
        Ok(())
    }

    fn double(number: f64, out: &mut Vec<u8>) {
        out.extend_from_slice(&number.to_le_bytes());
    }

    fn text(text: &str, out: &mut Vec<u8>) {
        Self::bytes(text.as_bytes(), out);
    }

    fn plain(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        let start = out.len();
        out.push(0);
        write(out);
        put_at(start, out.len() - start - 1, out);
    }

    fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
        put_count(bytes.len(), out);
        out.extend_from_slice(bytes);
    }

    fn open_bytes(length: usize, out: &mut Vec<u8>) {
        put_count(length, out);
    }

    fn bytes_part(part: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(part);
    }

    fn close_bytes(_out: &mut Vec<u8>) {}

    /// One byte is kept for the number of items, which is that of most arrays.
    fn open_array(out: &mut Vec<u8>) -> usize {
        out.push(0);
        out.len() - 1
    }

    fn item(_number: usize, _out: &mut Vec<u8>) {}

    fn close_array(start: usize, items: usize, out: &mut Vec<u8>) {
        if items > 0 {
            put_at(start, items, out);
            out.push(0);
        }
    }

    fn label(_name: &str) -> Vec<u8> {
        Vec::new()
    }

    fn field(_is_first: bool, _label: &[u8], _out: &mut Vec<u8>) {}

    fn named_field(_is_first: bool, _name: &'static str, _out: &mut Vec<u8>) {}

    fn close_record(_is_empty: bool, _out: &mut Vec<u8>) {}
}

/// Appends a long, or an int.
pub(super) fn put_long(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        let [low, ..] = rest.to_le_bytes();
        out.push(low | 0x80);
        rest >>= 7;
    }
    let [last, ..] = rest.to_le_bytes();
    out.push(last);
}

/// Appends a length.
fn put_count(count: usize, out: &mut Vec<u8>) {
    put_long(i64::try_from(count).expect("memory is smaller than 63 bits"), out);
}

/// Puts a length in the place of the byte at `start`: what follows is moved if it needs more than one.
fn put_at(start: usize, count: usize, out: &mut Vec<u8>) {
    let end = out.len();
    put_count(count, out);
    let length = out.len() - end;
    if length == 1 {
        out[start] = out.pop().expect("it was appended");
        return;
    }
    out[start + 1..].rotate_right(length);
    // The length stands at `start + 1`; the byte that was kept goes.
    out.copy_within(start + 1.., start);
    out.pop();
}

/// Text that Postgres may print for a float4 or float8.
fn checked_float(text: &[u8]) -> Result<&str, &'static str> {
    let digits = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e');
    match text {
        b"NaN" | b"Infinity" | b"-Infinity" => {}
        text if text.first().is_some_and(|first| first.is_ascii_digit() || *first == b'-') => {
            if !text.iter().all(digits) {
                return Err(NOT_A_FLOAT);
            }
        }
        _ => return Err(NOT_A_FLOAT),
    }
    std::str::from_utf8(text).map_err(|_| NOT_A_FLOAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_those_of_the_specification() {
        let check = |number: i64, want: &[u8]| {
            let mut out = Vec::new();
            put_long(number, &mut out);
            assert_eq!(out, want, "{number}");
        };
        check(0, &[0]);
        check(-1, &[1]);
        check(1, &[2]);
        check(-2, &[3]);
        check(63, &[0x7E]);
        check(64, &[0x80, 1]);
        check(-64, &[0x7F]);
        check(-65, &[0x81, 1]);
        check(i64::MAX, &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]);
        check(i64::MIN, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]);
    }

    #[test]
    fn a_length_that_is_known_late_is_that_which_is_known_early() {
        for length in [0, 1, 63, 64, 100, 8_191, 8_192, 20_000] {
            let text = "x".repeat(length);
            let (mut early, mut late) = (b"kept".to_vec(), b"kept".to_vec());
            Avro::text(&text, &mut early);
            Avro::plain(|out| out.extend_from_slice(text.as_bytes()), &mut late);
            assert!(early == late, "{length}");
        }
    }

    #[test]
    fn only_what_postgres_prints_is_a_float() {
        for text in ["", "-", ".5", "inf", "nan", "infinity", "+1", "0x1", "1e", "1,5", "1-2"] {
            assert_eq!(Avro::double_of(text.as_bytes(), &mut Vec::new()), Err(NOT_A_FLOAT), "{text}");
        }
        let mut out = Vec::new();
        Avro::single(b"1.1", &mut out).unwrap();
        Avro::double_of(b"-Infinity", &mut out).unwrap();
        assert_eq!(out, [&1.1_f32.to_le_bytes()[..], &f64::NEG_INFINITY.to_le_bytes()].concat());
    }
}
