//! From the texts that Postgres prints to exact numbers and days, or the reason why not. Pure; no float anywhere.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, Sign};

/// Longer numbers are not money. Postgres's NUMERIC has up to 131072 digits before the point and 16383 behind it.
pub const DIGITS_MAX: usize = 2_000;

/// Plain decimals: `-?digits[.digits]`, the text of every finite NUMERIC and integer, and of the amounts that engines
/// keep as text. `NaN`, `Infinity`, exponents and anything else are refused, with the reason.
pub fn decimal(text: &[u8]) -> Result<BigDecimal, &'static str> {
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (Sign::Minus, rest),
        _ => (Sign::Plus, text),
    };
    let point = digits.iter().position(|b| *b == b'.');
    let (whole, fraction) = point.map_or((digits, &[][..]), |at| (&digits[..at], &digits[at + 1..]));
    let plain = !whole.is_empty() && (point.is_none() || !fraction.is_empty());
    if !plain || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(match text {
            b"NaN" => "is NaN",
            b"Infinity" | b"-Infinity" => "is infinite",
            _ => "is not a plain decimal number",
        });
    }
    if whole.len() + fraction.len() > DIGITS_MAX {
        return Err("has too many digits");
    }
    let scale = i64::try_from(fraction.len()).map_err(|_| "has too many digits")?;
    let magnitude = magnitude(whole, fraction);
    let sign = if magnitude.sign() == Sign::NoSign { Sign::NoSign } else { sign };
    Ok(BigDecimal::new(if sign == Sign::Minus { -magnitude } else { magnitude }, scale))
}

/// The digits as one integer.
fn magnitude(whole: &[u8], fraction: &[u8]) -> BigInt {
    let digits = whole.iter().chain(fraction).map(|b| b - b'0');
    if whole.len() + fraction.len() <= 38 {
        let small = digits.fold(0_u128, |n, digit| n * 10 + u128::from(digit));
        return BigInt::from(small);
    }
    let digits: Vec<u8> = digits.collect();
    BigInt::from_radix_be(Sign::Plus, &digits, 10).expect("decimal digits only")
}

/// The UTC day, `YYYY-MM-DD`, of a `timestamptz` as printed with `timezone=UTC, datestyle=ISO`. Before Christ the text
/// ends in ` BC`, which is kept.
pub fn utc_day(text: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "is not a time")?;
    if matches!(text, "infinity" | "-infinity") {
        return Err("is infinite");
    }
    let (day, time) = text.split_once(' ').ok_or("is not a time")?;
    let digits = day.split('-').all(|part| part.len() >= 2 && part.bytes().all(|b| b.is_ascii_digit()));
    if !digits || day.split('-').count() != 3 || !(time.contains("+00") || time.contains("-00")) {
        return Err("is not a time in UTC");
    }
    Ok(if text.ends_with(" BC") { format!("{day} BC") } else { day.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        let good = |text: &str| assert_eq!(decimal(text.as_bytes()).unwrap().to_plain_string(), text);
        good("0");
        good("-0.00000001");
        good("100.50");
        good("115792089237316195423570985008687907853269984665640564039457584007913129639935");
        let bad = |text: &str, why: &str| assert_eq!(decimal(text.as_bytes()), Err(why), "{text}");
        bad("NaN", "is NaN");
        bad("-Infinity", "is infinite");
        for text in ["", "-", "1.", ".5", "1e5", "+1", " 1", "1,5", "0x10", "--1", "1.2.3"] {
            bad(text, "is not a plain decimal number");
        }
        bad(&"9".repeat(DIGITS_MAX + 1), "has too many digits");
    }

    #[test]
    fn days_are_those_of_utc() {
        let check = |text: &str, want: Result<&str, &'static str>| {
            assert_eq!(utc_day(text.as_bytes()), want.map(str::to_owned), "{text}");
        };
        check("2026-11-21 23:59:59.999999+00", Ok("2026-11-21"));
        check("10000-01-01 00:00:00+00", Ok("10000-01-01"));
        check("0044-03-15 12:00:00+00 BC", Ok("0044-03-15 BC"));
        check("infinity", Err("is infinite"));
        check("2026-11-21 23:59:59+02", Err("is not a time in UTC"));
        check("2026-11-21", Err("is not a time"));
    }
}
