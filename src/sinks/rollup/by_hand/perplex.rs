//! `perplex.pnl_daily`. The units are fills and funding payments; amounts are decimal text.

use bigdecimal::{BigDecimal, Zero};

use super::pnl_daily;
use crate::sinks::rollup::contract::{Contributions, GroupKey, Line, RollUp, Source, Tables, Target, Unit, Why};

const FILLS: usize = 0;
const FUNDING_PAYMENTS: usize = 1;

/// The unit of all amounts.
const ASSET: &str = "USDC";
/// Digits of an amount, on either side of the point.
const AMOUNT_DIGITS_MAX: usize = 100;
/// Digits of a time in nanoseconds.
const TS_NS_DIGITS_MAX: usize = 19;
const NS_PER_DAY: i64 = 86_400_000_000_000;

/// Fees, funding, volume and fills by account and market.
pub struct Perplex {
    target: Target,
    sources: Vec<Source>,
}

impl Perplex {
    /// The roll-up.
    #[must_use]
    pub fn new() -> Self {
        let measures = [("fees", "numeric"), ("funding", "numeric"), ("volume", "numeric"), ("fill_count", "bigint")];
        Self {
            target: pnl_daily("perplex", &measures),
            sources: vec![
                Source::driving("perplex", "fills", None),
                Source::driving("perplex", "funding_payments", None),
            ],
        }
    }
}

impl Default for Perplex {
    fn default() -> Self {
        Self::new()
    }
}

impl RollUp for Perplex {
    fn name(&self) -> &str {
        "perplex.pnl_daily"
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn dependents(&self, _: &Tables<'_>, _: usize, _: &Line<'_>, _: &mut Vec<Unit>) {}

    fn contribute(&self, _: &Tables<'_>, source: usize, row: &Line<'_>, out: &mut Contributions) {
        let measures = match source {
            FILLS => fill(row),
            FUNDING_PAYMENTS => payment(row),
            other => unreachable!("source {other} drives nothing"),
        };
        match measures.and_then(|measures| Ok((group(row)?, measures))) {
            Ok((group, measures)) => out.add(group, measures),
            Err(why) => out.unusable(row, why),
        }
    }
}

/// Fees, funding, volume, count.
fn fill(row: &Line<'_>) -> Result<Vec<BigDecimal>, Why> {
    let volume = amount(row, "price")? * amount(row, "qty")?;
    Ok(vec![amount(row, "fee_usdc")?, BigDecimal::zero(), volume, BigDecimal::from(1)])
}

fn payment(row: &Line<'_>) -> Result<Vec<BigDecimal>, Why> {
    Ok(vec![BigDecimal::zero(), amount(row, "amount_usdc")?, BigDecimal::zero(), BigDecimal::zero()])
}

fn group(row: &Line<'_>) -> Result<GroupKey, Why> {
    let day = day_of_ns(row.text("ts_ns")?).ok_or("ts_ns is not a time in nanoseconds")?;
    Ok(GroupKey::new(&[&day, row.text("address")?, row.text("market_id")?, ASSET]))
}

/// The definition bounds digits, so that nothing here is usable that is not usable there.
fn amount(row: &Line<'_>, column: &str) -> Result<BigDecimal, Why> {
    let text = row.text(column)?.trim_start_matches('-');
    if text.split('.').any(|digits| digits.len() > AMOUNT_DIGITS_MAX) {
        return Err(format!("{column} has too many digits"));
    }
    row.number(column)
}

/// The UTC day of a time in nanoseconds since 1970, by exact division.
fn day_of_ns(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > TS_NS_DIGITS_MAX || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Nineteen digits can be more than an i64 holds, by a little; a u64 holds them all.
    let days = text.parse::<u64>().ok()? / NS_PER_DAY.unsigned_abs();
    let days = jiff::Span::new().try_days(i64::try_from(days).ok()?).ok()?;
    Some(jiff::civil::date(1970, 1, 1).checked_add(days).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::day_of_ns;

    #[test]
    fn days_come_from_exact_division() {
        let check = |ns: &str, want: Option<&str>| assert_eq!(day_of_ns(ns).as_deref(), want, "{ns}");
        check("0", Some("1970-01-01"));
        check("86399999999999", Some("1970-01-01"));
        check("86400000000000", Some("1970-01-02"));
        check("1795305599999999999", Some("2026-11-21"));
        check("9999999999999999999", Some("2286-11-20"));
        check("", None);
        check("-1", None);
        check("10000000000000000000", None);
    }
}
