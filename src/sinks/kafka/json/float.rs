//! Floating point numbers in Java's notation.
//!
//! Postgres prints the shortest digits that give the same number back, as Java does; only the notation differs, so the
//! digits are moved and never parsed: `1e+20` becomes `1.0E20`, `100` becomes `100.0`. One difference is known: Java
//! prints the smallest doubles with two digits (`4.9E-324`), Postgres with one (`5e-324`); both are the same double.

use std::io::Write;

use super::text::put_number;

/// More digits than any double prints with.
const DIGITS_MAX: usize = 40;

/// Appends a float4 or float8 in Java's notation; JSON has no numbers for NaN and infinity, Jackson writes strings.
pub(super) fn put_float(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if let b"NaN" | b"Infinity" | b"-Infinity" = text {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
        return Ok(());
    }
    let parsed = Parsed::read(text).ok_or("is not a floating point number")?;
    parsed.put(out);
    Ok(())
}

/// Appends a finite double in Java's notation.
pub(super) fn put_double(number: f64, out: &mut Vec<u8>) {
    let mut buffer = [0; 64];
    let mut rest = &mut buffer[..];
    write!(rest, "{number:e}").expect("a double's shortest digits are few");
    let left = rest.len();
    let length = buffer.len() - left;
    let parsed = Parsed::read(&buffer[..length]).expect("a finite number, printed");
    parsed.put(out);
}

/// A number's significant digits: the value is `0.d1d2d3.. * 10^exponent`. No digits: zero.
struct Parsed {
    negative: bool,
    digits: [u8; DIGITS_MAX],
    length: usize,
    exponent: i32,
}

impl Parsed {
    /// Reads `-?digits[.digits][e[+-]digits]`.
    fn read(text: &[u8]) -> Option<Self> {
        let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let at = text.iter().position(|byte| *byte == b'e');
        let (mantissa, shift) = match at {
            Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok()?.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let mut parsed = Self { negative, digits: [0; DIGITS_MAX], length: 0, exponent: i32::from(shift) };
        parsed.read_mantissa(mantissa)?;
        Some(parsed)
    }

    fn read_mantissa(&mut self, mantissa: &[u8]) -> Option<()> {
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = point.map_or((mantissa, &[][..]), |at| (&mantissa[..at], &mantissa[at + 1..]));
        if whole.is_empty() || (point.is_some() && fraction.is_empty()) {
            return None;
        }
        for (&digit, is_whole) in whole.iter().map(|d| (d, true)).chain(fraction.iter().map(|d| (d, false))) {
            if !digit.is_ascii_digit() {
                return None;
            }
            let leading_zero = digit == b'0' && self.length == 0;
            if !leading_zero {
                *self.digits.get_mut(self.length)? = digit;
                self.length += 1;
            }
            match (is_whole, leading_zero) {
                (true, false) => self.exponent += 1,
                (false, true) => self.exponent -= 1,
                (true, true) | (false, false) => {}
            }
        }
        while self.length > 0 && self.digits[self.length - 1] == b'0' {
            self.length -= 1;
        }
        Some(())
    }

    /// Appends it as `Double.toString` does: plain from 0.001 to 10,000,000, scientific outside, always with a point.
    fn put(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let digits = &self.digits[..self.length];
        match (digits, self.exponent - 1) {
            ([], _) => out.extend_from_slice(b"0.0"),
            (digits, power @ 0..=6) => {
                let whole = usize::try_from(power + 1).expect("at most 7");
                put_digits(digits, 0, whole, out);
                out.push(b'.');
                put_digits(digits, whole, digits.len().max(whole + 1), out);
            }
            (digits, power @ -3..=-1) => {
                out.extend_from_slice(b"0.");
                (power..-1).for_each(|_| out.push(b'0'));
                out.extend_from_slice(digits);
            }
            (digits, power) => {
                put_digits(digits, 0, 1, out);
                out.push(b'.');
                put_digits(digits, 1, digits.len().max(2), out);
                out.push(b'E');
                put_number(power, out);
            }
        }
    }
}

/// Appends digits `from..to`, zeros past the last.
fn put_digits(digits: &[u8], from: usize, to: usize, out: &mut Vec<u8>) {
    out.extend((from..to).map(|at| digits.get(at).copied().unwrap_or(b'0')));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_java_does() {
        let check = |text: &str, want: &str| {
            let mut out = Vec::new();
            put_float(text.as_bytes(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), want);
        };
        check("0", "0.0");
        check("-0", "-0.0");
        check("1", "1.0");
        check("-1.5", "-1.5");
        check("100", "100.0");
        check("9999999", "9999999.0");
        check("9999999.5", "9999999.5");
        check("10000000", "1.0E7");
        check("123456789.125", "1.23456789125E8");
        check("0.001", "0.001");
        check("0.0123", "0.0123");
        check("0.25", "0.25");
        check("0.0009", "9.0E-4");
        check("1e+20", "1.0E20");
        check("1.7976931348623157e+308", "1.7976931348623157E308");
        check("2.2250738585072014e-308", "2.2250738585072014E-308");
        check("NaN", "\"NaN\"");
        check("-Infinity", "\"-Infinity\"");
        for text in ["", "-", ".", "1.", ".5", "1e", "e5", "0x1", "1,5", "inf", "1e99999", &"9".repeat(50)] {
            assert_eq!(put_float(text.as_bytes(), &mut Vec::new()), Err("is not a floating point number"), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_double_comes_back(bits in proptest::num::u64::ANY) {
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let mut out = Vec::new();
                put_double(number, &mut out);
                let back: f64 = std::str::from_utf8(&out).unwrap().parse().unwrap();
                proptest::prop_assert_eq!(back.to_bits(), bits);
            }
        }
    }
}
