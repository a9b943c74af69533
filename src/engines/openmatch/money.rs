//! NUMERIC(28,8) as a number.

use std::fmt;
use std::ops::{Add, Neg, Sub};

use bytes::BytesMut;
use postgres_types::{IsNull, ToSql, Type, to_sql_checked};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::engines::Inexact;
use crate::engines::{Amount, Numeric};

/// Decimals of every amount.
const SCALE: u32 = 8;

/// 10^20 units of 10^-8: the first amount that NUMERIC(28,8) does not hold.
const UNITS_END: i128 = 10_i128.pow(28);

// All amounts fit the 96-bit mantissa of rust_decimal.
const _: () = assert!(UNITS_END < 1 << 96);

/// An amount that NUMERIC(28,8) holds exactly, always at scale 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct Money(Decimal);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(Decimal::from_parts(0, 0, 0, false, SCALE));

    /// So many units of 10^-8; `None` from 10^20 on.
    #[must_use]
    pub fn from_units(units: i128) -> Option<Self> {
        (units.abs() < UNITS_END).then(|| Self(Decimal::from_i128_with_scale(units, SCALE)))
    }

    /// In units of 10^-8.
    #[must_use]
    pub fn units(self) -> i128 {
        self.0.mantissa()
    }

    /// `self * other`, rounded down to 8 decimals; `None` when it is too large.
    #[must_use]
    pub fn times(self, other: Money) -> Option<Self> {
        let product = self.units().checked_mul(other.units())?;
        Self::from_units(product.div_euclid(10_i128.pow(SCALE)))
    }
}

impl TryFrom<Decimal> for Money {
    type Error = Inexact;

    fn try_from(value: Decimal) -> Result<Self, Inexact> {
        let numeric = Numeric::<28, 8>::try_from(Amount::from(value))?;
        drop(numeric);
        let mut exact = value;
        exact.rescale(SCALE);
        Ok(Self(exact))
    }
}

impl From<Money> for Decimal {
    fn from(money: Money) -> Decimal {
        money.0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() { f.write_str("0.00000000") } else { self.0.fmt(f) }
    }
}

/// # Panics
/// When the sum does not fit the column.
impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money::from_units(self.units() + other.units()).expect("the sum fits NUMERIC(28,8)")
    }
}

/// # Panics
/// When the difference does not fit the column.
impl Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money::from_units(self.units() - other.units()).expect("the difference fits NUMERIC(28,8)")
    }
}

impl Neg for Money {
    type Output = Money;
    fn neg(self) -> Money {
        Money(-self.0)
    }
}

impl ToSql for Money {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <Decimal as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_keeps_every_digit_or_refuses() {
        let check = |text: &str, want: Option<&str>| {
            let got = Money::try_from(text.parse::<Decimal>().unwrap()).ok().map(|m| m.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        };
        check("1.5", Some("1.50000000"));
        check("0.00000001", Some("0.00000001"));
        check("99999999999999999999.99999999", Some("99999999999999999999.99999999"));
        check("100000000000000000000", None);
        check("0.000000001", None);
        check("-0", Some("0.00000000"));
        assert_eq!(Money::from_units(UNITS_END), None);
    }

    #[test]
    fn products_round_down() {
        let money = |text: &str| Money::try_from(text.parse::<Decimal>().unwrap()).unwrap();
        assert_eq!(money("1.00000001").times(money("0.1")), Some(money("0.10000000")));
        assert_eq!(money("10000000000").times(money("10000000000")), None);
    }
}
