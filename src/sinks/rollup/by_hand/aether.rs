//! `aether.pnl_daily`. The unit is a bundle: with its results and its arb, in whatever order they arrive.

use bigdecimal::{BigDecimal, Zero};

use crate::model::TableName;
use crate::sinks::rollup::contract::{Contributions, GroupKey, Line, RollUp, Source, Tables, Target, Unit, Why};

const BUNDLES: usize = 0;
const RESULTS: usize = 1;
const ARBS: usize = 2;

/// Digits before the point that the target's NUMERIC(78,0) holds.
const WEI_DIGITS_MAX: u64 = 78;

/// A day's bundles and what landed of them.
pub struct Aether {
    target: Target,
    sources: Vec<Source>,
}

impl Aether {
    /// The roll-up.
    #[must_use]
    pub fn new() -> Self {
        let wei = "numeric(78,0)";
        Self {
            target: Target {
                table: TableName::new("aether", "pnl_daily"),
                keys: vec![("day", "date")],
                measures: vec![
                    ("realized_profit_wei", wei),
                    ("gas_spent_wei", wei),
                    ("bundle_count", "bigint"),
                    ("inclusion_count", "bigint"),
                ],
                digits_max: Some(WEI_DIGITS_MAX),
            },
            sources: vec![
                Source::driving("aether", "bundles", Some("arb_id")),
                Source::looked_up("aether", "inclusion_results", Some("bundle_id")),
                Source::looked_up("aether", "arbs", None),
            ],
        }
    }

    /// The day on which the bundle landed: that of the earliest of its included results.
    fn landed(tables: &Tables<'_>, bundle_id: &[u8], out: &mut Contributions) -> Option<String> {
        let mut earliest: Option<String> = None;
        for result in tables.find(RESULTS, "bundle_id", bundle_id) {
            match included_day(&result) {
                Ok(Some(day)) => {
                    earliest = Some(earliest.map_or_else(|| day.clone(), |e| earlier(e, &day)));
                }
                Ok(None) => {}
                Err(why) => out.unusable(&result, why),
            }
        }
        earliest
    }

    /// The net profit of the bundle's arb; 0 until it is there.
    fn profit(tables: &Tables<'_>, arb_id: &[u8], out: &mut Contributions) -> BigDecimal {
        let mut profit = BigDecimal::zero();
        for arb in tables.find(ARBS, "arb_id", arb_id) {
            match arb.number("net_profit_wei") {
                Ok(wei) => profit = wei,
                Err(why) => out.unusable(&arb, why),
            }
        }
        profit
    }
}

impl Default for Aether {
    fn default() -> Self {
        Self::new()
    }
}

impl RollUp for Aether {
    fn name(&self) -> &str {
        "aether.pnl_daily"
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn dependents(&self, tables: &Tables<'_>, source: usize, row: &Line<'_>, units: &mut Vec<Unit>) {
        let column = if source == RESULTS { "bundle_id" } else { "arb_id" };
        if let Ok(Some(id)) = row.bytes(column) {
            units.extend(tables.find(BUNDLES, column, id).iter().map(Line::unit));
        }
    }

    fn contribute(&self, tables: &Tables<'_>, _source: usize, bundle: &Line<'_>, out: &mut Contributions) {
        let submitted = match submission(bundle) {
            Ok(submitted) => submitted,
            Err(why) => return out.unusable(bundle, why),
        };
        let one = || BigDecimal::from(1);
        out.add(
            GroupKey::new(&[&submitted.day]),
            vec![BigDecimal::zero(), submitted.gas_wei, one(), BigDecimal::zero()],
        );
        if let Some(day) = Self::landed(tables, submitted.bundle_id, out) {
            let profit = Self::profit(tables, submitted.arb_id, out);
            out.add(GroupKey::new(&[&day]), vec![profit, BigDecimal::zero(), BigDecimal::zero(), one()]);
        }
    }
}

/// What a bundle's own row says.
struct Submission<'a> {
    bundle_id: &'a [u8],
    arb_id: &'a [u8],
    day: String,
    gas_wei: BigDecimal,
}

fn submission<'a>(bundle: &Line<'a>) -> Result<Submission<'a>, Why> {
    let day = bundle.day("submitted_at")?;
    let price = bundle.decimal("gas_price_wei")?;
    let used = bundle.decimal("gas_used")?;
    let gas_wei = used.zip(price).map_or_else(BigDecimal::zero, |(used, price)| used * price);
    if gas_wei.digits() > WEI_DIGITS_MAX {
        return Err("gas_used * gas_price_wei does not fit NUMERIC(78,0)".into());
    }
    let id = |column: &str| bundle.bytes(column).map(Option::unwrap_or_default);
    Ok(Submission { bundle_id: id("bundle_id")?, arb_id: id("arb_id")?, day, gas_wei })
}

/// The day of an included result; `None` when it is not included.
fn included_day(result: &Line<'_>) -> Result<Option<String>, Why> {
    if result.bytes("included")? != Some(b"t") {
        return Ok(None);
    }
    result.day("resolved_at").map(Some)
}

/// The earlier of two days.
fn earlier(one: String, other: &str) -> String {
    // Years have at least four digits and more where needed; before Christ the larger year is the earlier.
    let key = |day: &str| {
        let (text, bc) = day.strip_suffix(" BC").map_or((day, false), |text| (text, true));
        let mut parts = text.split('-').map(|part| part.parse::<i64>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        let (year, month, date) = (next(), next(), next());
        (if bc { 1 - year } else { year }, month, date)
    };
    if key(other) < key(&one) { other.to_owned() } else { one }
}

#[cfg(test)]
mod tests {
    use super::earlier;

    #[test]
    fn the_earlier_day_is_found_in_any_year() {
        let check = |one: &str, other: &str, want: &str| assert_eq!(earlier(one.to_owned(), other), want);
        check("2026-11-21", "2026-11-20", "2026-11-20");
        check("9999-12-31", "10000-01-01", "9999-12-31");
        check("0001-01-01", "0044-03-15 BC", "0044-03-15 BC");
        check("0044-03-16 BC", "0044-03-15 BC", "0044-03-15 BC");
        check("0045-01-01 BC", "0044-03-15 BC", "0045-01-01 BC");
    }
}
