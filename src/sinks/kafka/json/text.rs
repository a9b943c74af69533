//! JSON's atoms, written straight into a buffer: strings as Jackson escapes them, integers, base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) use crate::sinks::kafka::encode::put_number;

/// Digits of the escapes: Jackson writes them in upper case.
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text` as a JSON string: only `"`, `\` and control characters are escaped.
pub(super) fn put_str(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    put_escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// So many bytes are looked at together, as the processor likes it.
const TOGETHER: usize = 32;

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The first byte that cannot stand for itself.
fn find_special(text: &[u8]) -> Option<usize> {
    let (chunks, _rest) = text.as_chunks::<TOGETHER>();
    let plain = |chunk: &&[u8; TOGETHER]| !chunk.iter().fold(false, |found, &byte| found | is_special(byte));
    let passed = chunks.iter().take_while(plain).count() * TOGETHER;
    Some(passed + text[passed..].iter().position(|&byte| is_special(byte))?)
}

/// Appends a JSON string's inside.
fn put_escaped(mut rest: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = find_special(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            special @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', special]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(control >> 4)], HEX[usize::from(control & 0xF)]]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends an integer, or `null`.
pub(super) fn put_optional(number: Option<impl itoa::Integer>, out: &mut Vec<u8>) {
    match number {
        Some(number) => put_number(number, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a string, or `null`.
pub(super) fn put_optional_str(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => put_str(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends `"base64"` of the bytes.
pub(super) fn put_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    put_base64_part(bytes, out);
    out.push(b'"');
}

/// Appends base64 without quotes. All parts of a value but the last must be of a multiple of three bytes.
pub(super) fn put_base64_part(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).expect("there is room for four bytes in three");
    debug_assert_eq!(start + written, out.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_jackson_does() {
        let check = |text: &str, want: &str| {
            let mut out = Vec::new();
            put_str(text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        };
        check("", r#""""#);
        check("plain / text", r#""plain / text""#);
        check("a\"b\\c", r#""a\"b\\c""#);
        check("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#);
        check("\u{1}\u{b}\u{1f}\u{7f}", "\"\\u0001\\u000B\\u001F\u{7f}\"");
        check("Größe 😀 \u{2028}", "\"Größe 😀 \u{2028}\"");
    }
}
