//! Integers and booleans.

use super::atoms::Atoms;

/// Appends an integer as it was sent.
pub(super) fn put_integer<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [] => false,
        [b'0', _, ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    };
    if plain { A::digits(text, out) } else { Err("is not an integer") }
}

/// Appends a boolean.
pub(super) fn put_bool<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let truth = match text {
        b"t" => true,
        b"f" => false,
        _ => return Err("is not a boolean"),
    };
    A::boolean(truth, out);
    Ok(())
}

/// Appends an integer's digits.
pub(in super::super) fn put_number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number that is not negative, with zeros before it up to `width` digits.
pub(super) fn put_padded(number: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number).as_bytes();
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(digits.len())));
    out.extend_from_slice(digits);
}

/// Appends anything that prints as ASCII.
pub(in super::super) fn print(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write;
    write!(out, "{number}").expect("a Vec takes all bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::kafka::json::Json;

    #[test]
    fn zeros_fill_up_to_a_width() {
        for (number, width, want) in [(0, 2, "00"), (7, 4, "0007"), (12_345, 4, "12345"), (0, 0, "0")] {
            let mut out = Vec::new();
            put_padded(number, width, &mut out);
            assert_eq!(out, want.as_bytes());
        }
    }

    #[test]
    fn integers_are_copied_or_refused() {
        for text in ["0", "-1", "9223372036854775807", "-9223372036854775808", "4294967295"] {
            let mut out = Vec::new();
            put_integer::<Json>(text.as_bytes(), &mut out).unwrap();
            assert_eq!(out, text.as_bytes());
        }
        for text in ["", "-", "01", "+1", "1.0", "1e5", "a"] {
            assert!(put_integer::<Json>(text.as_bytes(), &mut Vec::new()).is_err(), "{text}");
        }
    }
}
