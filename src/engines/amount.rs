//! Exact decimal numbers on their way to Postgres: text in, text out, no arithmetic.

use std::fmt;
use std::str::FromStr;

use bytes::BytesMut;
use postgres_types::{Format, IsNull, ToSql, Type, to_sql_checked};
use serde::{Deserialize, Serialize};

/// The longest amount taken: NUMERIC(78,0) with room, far below what NUMERIC itself allows.
pub const AMOUNT_BYTES_MAX: usize = 160;

/// An exact decimal number: `-?digits[.digits]`. It is sent as text, so that NUMERIC and TEXT columns keep every digit.
/// Zero has no sign; there is no exponent, NaN or infinity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(String);

/// The text is not an exact decimal number. Holds no value: amounts do not belong in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount must be written as -?digits[.digits], with at most {AMOUNT_BYTES_MAX} characters")]
pub struct NotAnAmount;

impl Amount {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Amount {
    type Error = NotAnAmount;

    fn try_from(text: String) -> Result<Self, NotAnAmount> {
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(&text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let signed_zero = text.starts_with('-') && !unsigned.bytes().any(|b| (b'1'..=b'9').contains(&b));
        let good = text.len() <= AMOUNT_BYTES_MAX && digits(whole) && digits(fraction) && !signed_zero;
        if good { Ok(Self(text)) } else { Err(NotAnAmount) }
    }
}

impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        text.to_owned().try_into()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> String {
        amount.0
    }
}

impl From<rust_decimal::Decimal> for Amount {
    fn from(mut value: rust_decimal::Decimal) -> Self {
        if value.is_zero() {
            value.set_sign_positive(true);
        }
        Self(value.to_string())
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Amount {
            fn from(value: $integer) -> Self {
                Self(value.to_string())
            }
        }
    )*};
}
from_integer!(i64, u64, i128, u128);

/// An amount that a `NUMERIC(PRECISION, SCALE)` column keeps exactly. (Postgres rounds further decimals without a word.)
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Amount", into = "Amount")]
pub struct Numeric<const PRECISION: usize, const SCALE: usize>(Amount);

/// The amount has more digits than its column keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount has more digits than NUMERIC({precision},{scale}) keeps; round it where that is decided")]
pub struct Inexact {
    precision: usize,
    scale: usize,
}

impl<const PRECISION: usize, const SCALE: usize> TryFrom<Amount> for Numeric<PRECISION, SCALE> {
    type Error = Inexact;

    fn try_from(amount: Amount) -> Result<Self, Inexact> {
        let unsigned = amount.0.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let whole_digits = whole.trim_start_matches('0').len();
        let fraction_digits = fraction.trim_end_matches('0').len();
        let exact = fraction_digits <= SCALE && whole_digits <= PRECISION - SCALE;
        if exact { Ok(Self(amount)) } else { Err(Inexact { precision: PRECISION, scale: SCALE }) }
    }
}

impl<const PRECISION: usize, const SCALE: usize> From<Numeric<PRECISION, SCALE>> for Amount {
    fn from(numeric: Numeric<PRECISION, SCALE>) -> Amount {
        numeric.0
    }
}

impl<const PRECISION: usize, const SCALE: usize> Numeric<PRECISION, SCALE> {
    /// As the column prints it: all decimals of the scale.
    #[must_use]
    pub fn column_text(&self) -> String {
        let (sign, unsigned) = self.0.0.strip_prefix('-').map_or(("", self.0.as_str()), |rest| ("-", rest));
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let fraction = fraction.trim_end_matches('0');
        if SCALE == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0<SCALE$}") }
    }
}

impl<const PRECISION: usize, const SCALE: usize> ToSql for Numeric<PRECISION, SCALE> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        Amount::accepts(ty)
    }

    fn encode_format(&self, ty: &Type) -> Format {
        self.0.encode_format(ty)
    }

    to_sql_checked!();
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ToSql for Amount {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        [Type::NUMERIC, Type::TEXT, Type::VARCHAR].contains(ty)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_decimal_text_is_an_amount() {
        for good in
            ["0", "-1", "00.10", "115792089237316195423570985008687907853269984665640564039457584007913129639935"]
        {
            assert_eq!(good.parse::<Amount>().unwrap().as_str(), good);
        }
        for bad in ["", "-", ".5", "5.", "1e3", "NaN", "Infinity", "+1", "1 ", "-0", "-0.00", "1.2.3", "٣"] {
            assert_eq!(bad.parse::<Amount>(), Err(NotAnAmount), "{bad} was taken");
        }
        assert_eq!("1".repeat(AMOUNT_BYTES_MAX + 1).parse::<Amount>(), Err(NotAnAmount));
    }

    #[test]
    fn a_numeric_keeps_every_digit_or_refuses() {
        let check = |text: &str, want: Option<&str>| {
            let got = Numeric::<6, 2>::try_from(text.parse::<Amount>().unwrap()).ok().map(|n| n.column_text());
            assert_eq!(got.as_deref(), want, "{text}");
        };
        check("1", Some("1.00"));
        check("-0001.2300", Some("-1.23"));
        check("0.5", Some("0.50"));
        check("9999.99", Some("9999.99"));
        check("10000", None);
        check("0.001", None);
    }
}
