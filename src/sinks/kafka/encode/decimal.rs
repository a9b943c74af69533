//! `numeric` and `money`: exact digits in one of three forms.
//!
//! Decided here, and not as Debezium does: a column of negative scale (`numeric(5,-2)`) is written at scale 0 (Debezium
//! takes it for 2046); NaN and infinity are refused in `Precise`, which has no place for them (Debezium writes null); a value
//! that is too large for a double is refused in `Double`. A domain's scale is not told by the stream, so in `Precise` its
//! values have their own (Debezium asks the catalog).

use bigdecimal::num_bigint::{BigInt, Sign};

use super::atoms::Atoms;
use super::modes::Decimals;
use super::number::print;

/// A type modifier of `numeric` is precision and scale, and this.
const MODIFIER_HEAD: i32 = 4;

/// Fractional digits of `money`.
const MONEY_SCALE: usize = 2;

/// How a column's decimals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Form {
    /// `"1.10"`; with the column's scale, for zeros.
    Text(usize),
    /// `1.1`.
    Double,
    /// `"bg=="`: the unscaled value, in a column of this precision (`money` has none).
    Scaled { precision: Option<usize>, scale: usize },
    /// `{"scale":1,"value":"Cw=="}`, trailing zeros stripped.
    Unscaled,
}

impl Form {
    /// The form of a `numeric` with this type modifier.
    pub(super) fn of_numeric(type_modifier: i32, mode: Decimals) -> Self {
        match mode {
            Decimals::Text => Form::Text(scale_of(type_modifier).unwrap_or(0)),
            Decimals::Double => Form::Double,
            Decimals::Precise => match scale_of(type_modifier) {
                Some(scale) => Form::Scaled { precision: precision_of(type_modifier), scale },
                None => Form::Unscaled,
            },
        }
    }

    /// The form of `money`, which has two fractional digits.
    pub(super) fn of_money(mode: Decimals) -> Self {
        match mode {
            Decimals::Text => Form::Text(MONEY_SCALE),
            Decimals::Double => Form::Double,
            Decimals::Precise => Form::Scaled { precision: None, scale: MONEY_SCALE },
        }
    }

    /// Appends a `numeric`.
    pub(super) fn put<A: Atoms>(self, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        if let b"NaN" | b"Infinity" | b"-Infinity" = text {
            return self.put_special::<A>(text, out);
        }
        let plain = Plain::read(text)?;
        match self {
            Form::Text(_) => put_word::<A>(text, out),
            Form::Double => {
                let number: f64 = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(NOT_PLAIN)?;
                if number.is_infinite() {
                    return Err("is too large for a double");
                }
                A::double(number, out);
            }
            Form::Scaled { scale, .. } => plain.put_unscaled::<A>(scale, out)?,
            Form::Unscaled => {
                let plain = plain.without_trailing_zeros();
                let scale = plain.fraction.len();
                A::named_field(true, "scale", out);
                A::integer(i64::try_from(scale).map_err(|_| NOT_PLAIN)?, out);
                A::named_field(false, "value", out);
                plain.put_unscaled::<A>(scale, out)?;
                A::close_record(false, out);
            }
        }
        Ok(())
    }

    /// Appends zero, at the column's scale.
    pub(super) fn put_zero<A: Atoms>(self, out: &mut Vec<u8>) {
        match self {
            Form::Text(scale @ 1..) => A::plain(|out| print(format_args!("0.{:0>scale$}", ""), out), out),
            Form::Text(_) | Form::Double | Form::Scaled { .. } | Form::Unscaled => {
                self.put::<A>(b"0", out).expect("zero has every form");
            }
        }
    }

    fn put_special<A: Atoms>(self, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let word: &[u8] = match (self, text) {
            (Form::Text(_), b"NaN") => b"NAN",
            (Form::Text(_), b"Infinity") => b"POSITIVE_INFINITY",
            (Form::Text(_), _) => b"NEGATIVE_INFINITY",
            (Form::Double, _) => return A::double_of(text, out),
            (Form::Scaled { .. } | Form::Unscaled, _) => {
                return Err("is NaN or infinite, which precise decimals cannot be");
            }
        };
        put_word::<A>(word, out);
        Ok(())
    }
}

/// Text that was found to be digits, or one of a few words.
fn put_word<A: Atoms>(word: &[u8], out: &mut Vec<u8>) {
    A::plain(|out| out.extend_from_slice(word), out);
}

const NOT_PLAIN: &str = "is not a plain decimal number";

/// Fractional digits of a `numeric` column; `None` if its values have their own.
pub(super) fn scale_of(type_modifier: i32) -> Option<usize> {
    let modifier = type_modifier.checked_sub(MODIFIER_HEAD).filter(|modifier| *modifier >= 0)?;
    let scale = ((modifier & 0x7FF) ^ 1024) - 1024;
    Some(usize::try_from(scale).unwrap_or(0))
}

/// Digits that a `numeric` column holds at most, those of a negative scale included.
fn precision_of(type_modifier: i32) -> Option<usize> {
    let modifier = type_modifier.checked_sub(MODIFIER_HEAD).filter(|modifier| *modifier >= 0)?;
    let (precision, scale) = (modifier >> 16, ((modifier & 0x7FF) ^ 1024) - 1024);
    usize::try_from(precision - scale.min(0)).ok()
}

/// The parts of `-?digits[.digits]`.
#[derive(Clone, Copy)]
struct Plain<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Plain<'a> {
    fn read(text: &'a [u8]) -> Result<Self, &'static str> {
        let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let point = digits.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = point.map_or((digits, &[][..]), |at| (&digits[..at], &digits[at + 1..]));
        let complete = !whole.is_empty() && (point.is_none() || !fraction.is_empty());
        if !complete || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Err(NOT_PLAIN);
        }
        Ok(Self { negative, whole, fraction })
    }

    fn without_trailing_zeros(self) -> Self {
        let end = self.fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        Self { fraction: &self.fraction[..end], ..self }
    }

    /// Appends the bytes of the value times ten to the `scale`. Up to 38 digits without allocation.
    fn put_unscaled<A: Atoms>(self, scale: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let zeros = scale.checked_sub(self.fraction.len()).ok_or("has more fractional digits than its column")?;
        let digits = self.whole.iter().chain(self.fraction).map(|digit| digit - b'0');
        let digits = digits.chain(std::iter::repeat_n(0, zeros));
        if self.whole.len() + scale <= 38 {
            let magnitude = digits.fold(0_i128, |number, digit| number * 10 + i128::from(digit));
            let number = if self.negative { -magnitude } else { magnitude };
            A::bytes(shortest(&number.to_be_bytes()), out);
            return Ok(());
        }
        let digits: Vec<u8> = digits.collect();
        let sign = if self.negative { Sign::Minus } else { Sign::Plus };
        let number = BigInt::from_radix_be(sign, &digits, 10).ok_or(NOT_PLAIN)?;
        A::bytes(&number.to_signed_bytes_be(), out);
        Ok(())
    }
}

/// Two's complement without the leading bytes that only repeat the sign.
fn shortest(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, second, ..] = rest {
        let repeats = (*first == 0 && *second < 0x80) || (*first == 0xFF && *second >= 0x80);
        if !repeats {
            break;
        }
        rest = &rest[1..];
    }
    rest
}

/// The longest text of `money` is `-92233720368547758.08`, without its ornaments.
const MONEY_BYTES_MAX: usize = 24;

/// Appends `money`. Its text depends on the server's `lc_monetary`; taken are a currency sign before the digits, commas
/// between thousands, and a point before exactly two digits (`-$1,234.56`, `($0.10)`). Others are refused, for a comma may
/// be a decimal point there.
pub(super) fn put_money<A: Atoms>(form: Form, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const NOT_MONEY: &str = "is not money as lc_monetary 'C' or 'en_US' prints it";
    let (in_brackets, text) =
        text.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")")).map_or((false, text), |rest| (true, rest));
    let first = text.iter().position(u8::is_ascii_digit).ok_or(NOT_MONEY)?;
    let (ornaments, digits) = text.split_at(first);
    let (groups, cents) = digits.split_at(digits.len().checked_sub(3).ok_or(NOT_MONEY)?);
    if ornaments.contains(&b',') || !is_grouped(groups) || cents[0] != b'.' {
        return Err(NOT_MONEY);
    }
    let sign = (in_brackets || ornaments.contains(&b'-')).then_some(b'-');
    let (mut plain, mut length) = ([0; MONEY_BYTES_MAX], 0);
    for byte in sign.into_iter().chain(groups.iter().chain(cents).copied().filter(|byte| *byte != b',')) {
        *plain.get_mut(length).ok_or(NOT_MONEY)? = byte;
        length += 1;
    }
    form.put::<A>(&plain[..length], out).map_err(|_| NOT_MONEY)
}

/// Digits, all of them without a comma, or with one before every three from the right.
fn is_grouped(text: &[u8]) -> bool {
    let mut groups = text.split(|byte| *byte == b',');
    let first = groups.next().unwrap_or_default();
    let digits = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b',');
    digits && !first.is_empty() && (first.len() <= 3 || !text.contains(&b',')) && groups.all(|group| group.len() == 3)
}
