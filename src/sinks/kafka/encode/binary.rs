//! `bytea`, bit strings and points.
//!
//! Debezium's own choice, kept though it loses something: a bit string is written from its last bit on and without the zero bytes at its head, so
//! that `0001` and `1` in a `varbit` look the same, and all zeros are an empty string.

use super::atoms::{Atoms, PART_BYTES};

/// Appends `bytea` (`bytea_output=hex`) as bytes.
pub(super) fn put_bytes<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const NOT_BYTES: &str = "is not bytea in hex format";
    let digits = text.strip_prefix(b"\\x").filter(|digits| digits.len() % 2 == 0).ok_or(NOT_BYTES)?;
    A::open_bytes(digits.len() / 2, out);
    for part in digits.chunks(PART_BYTES * 2) {
        let mut bytes = [0; PART_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(part.chunks_exact(2)) {
            *byte = (nibble(pair[0]).ok_or(NOT_BYTES)? << 4) | nibble(pair[1]).ok_or(NOT_BYTES)?;
        }
        A::bytes_part(&bytes[..part.len() / 2], out);
    }
    A::close_bytes(out);
    Ok(())
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

const NOT_BITS: &str = "is not a bit string of its column's length";

/// Appends one bit as a boolean.
pub(super) fn put_bit<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let truth = match text {
        b"1" => true,
        b"0" => false,
        _ => return Err(NOT_BITS),
    };
    A::boolean(truth, out);
    Ok(())
}

/// Appends a bit string as bytes, little-endian.
pub(super) fn put_bits<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if !text.iter().all(|bit| matches!(bit, b'0' | b'1')) {
        return Err(NOT_BITS);
    }
    let first = text.iter().position(|bit| *bit == b'1').unwrap_or(text.len());
    let bits = &text[first..];
    A::open_bytes(bits.len().div_ceil(8), out);
    let (mut bytes, mut length) = ([0; PART_BYTES], 0);
    for eight in bits.rchunks(8) {
        if length == PART_BYTES {
            A::bytes_part(&bytes, out);
            length = 0;
        }
        bytes[length] = eight.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
        length += 1;
    }
    A::bytes_part(&bytes[..length], out);
    A::close_bytes(out);
    Ok(())
}

/// Appends a `point`: its coordinates, and the same as well-known binary (little-endian) without a reference system.
pub(super) fn put_point<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const NOT_A_POINT: &str = "is not a point";
    let inside = text.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")")).ok_or(NOT_A_POINT)?;
    let comma = inside.iter().position(|byte| *byte == b',').ok_or(NOT_A_POINT)?;
    let (x, y) = (&inside[..comma], &inside[comma + 1..]);
    let double = |text| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    let mut binary = [0; 21];
    binary[..5].copy_from_slice(&[1, 1, 0, 0, 0]);
    binary[5..13].copy_from_slice(&double(x).ok_or(NOT_A_POINT)?.to_le_bytes());
    binary[13..].copy_from_slice(&double(y).ok_or(NOT_A_POINT)?.to_le_bytes());
    A::named_field(true, "x", out);
    A::double_of(x, out).map_err(|_| NOT_A_POINT)?;
    A::named_field(false, "y", out);
    A::double_of(y, out).map_err(|_| NOT_A_POINT)?;
    A::named_field(false, "wkb", out);
    A::some(out);
    A::bytes(&binary, out);
    A::named_field(false, "srid", out);
    A::none(out);
    A::close_record(false, out);
    Ok(())
}
