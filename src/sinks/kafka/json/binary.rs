//! `bytea`, bit strings and points.
//!
//! Debezium's own choice, kept though it loses something: a bit string is written from its last bit on and without the zero bytes at its head, so
//! that `0001` and `1` in a `varbit` look the same, and all zeros are an empty string.

use super::number::put_float;
use super::text::{PART_BYTES, put_base64, put_base64_part};

/// Appends `bytea` (`bytea_output=hex`) as base64.
pub(super) fn put_bytes(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const NOT_BYTES: &str = "is not bytea in hex format";
    let digits = text.strip_prefix(b"\\x").filter(|digits| digits.len() % 2 == 0).ok_or(NOT_BYTES)?;
    out.push(b'"');
    for part in digits.chunks(PART_BYTES * 2) {
        let mut bytes = [0; PART_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(part.chunks_exact(2)) {
            *byte = (nibble(pair[0]).ok_or(NOT_BYTES)? << 4) | nibble(pair[1]).ok_or(NOT_BYTES)?;
        }
        put_base64_part(&bytes[..part.len() / 2], out);
    }
    out.push(b'"');
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
pub(super) fn put_bit(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let word: &[u8] = match text {
        b"1" => b"true",
        b"0" => b"false",
        _ => return Err(NOT_BITS),
    };
    out.extend_from_slice(word);
    Ok(())
}

/// Appends a bit string as base64, little-endian.
pub(super) fn put_bits(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if !text.iter().all(|bit| matches!(bit, b'0' | b'1')) {
        return Err(NOT_BITS);
    }
    let first = text.iter().position(|bit| *bit == b'1').unwrap_or(text.len());
    out.push(b'"');
    let (mut bytes, mut length) = ([0; PART_BYTES], 0);
    for eight in text[first..].rchunks(8) {
        if length == PART_BYTES {
            put_base64_part(&bytes, out);
            length = 0;
        }
        bytes[length] = eight.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
        length += 1;
    }
    put_base64_part(&bytes[..length], out);
    out.push(b'"');
    Ok(())
}

/// Appends a `point`: its coordinates, and the same as well-known binary (little-endian) without a reference system.
pub(super) fn put_point(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const NOT_A_POINT: &str = "is not a point";
    let inside = text.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")")).ok_or(NOT_A_POINT)?;
    let comma = inside.iter().position(|byte| *byte == b',').ok_or(NOT_A_POINT)?;
    let (x, y) = (&inside[..comma], &inside[comma + 1..]);
    let double = |text| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    let mut binary = [0; 21];
    binary[..5].copy_from_slice(&[1, 1, 0, 0, 0]);
    binary[5..13].copy_from_slice(&double(x).ok_or(NOT_A_POINT)?.to_le_bytes());
    binary[13..].copy_from_slice(&double(y).ok_or(NOT_A_POINT)?.to_le_bytes());
    out.extend_from_slice(b"{\"x\":");
    put_float(x, out).map_err(|_| NOT_A_POINT)?;
    out.extend_from_slice(b",\"y\":");
    put_float(y, out).map_err(|_| NOT_A_POINT)?;
    out.extend_from_slice(b",\"wkb\":");
    put_base64(&binary, out);
    out.extend_from_slice(b",\"srid\":null}");
    Ok(())
}
