//! `worker.pnl_daily`. The units are fills with their order, and funding payments; amounts are integers.

use bigdecimal::{BigDecimal, Zero};

use super::{fills_of, pnl_daily};
use crate::sinks::rollup::contract::{Contributions, GroupKey, Line, RollUp, Source, Tables, Target, Unit, Why};

const FILLS: usize = 0;
const FUNDING_PAYMENTS: usize = 1;
const ORDERS: usize = 2;

/// Fees, funding, volume and fills by exchange, symbol and asset.
pub struct Worker {
    target: Target,
    sources: Vec<Source>,
}

impl Worker {
    /// The roll-up.
    #[must_use]
    pub fn new() -> Self {
        let measures = [("fees", "numeric"), ("funding", "numeric"), ("volume", "numeric"), ("fill_count", "bigint")];
        Self {
            target: pnl_daily("worker", &measures),
            sources: vec![
                Source::driving("worker", "fills", Some("order_id")),
                Source::driving("worker", "funding_payments", None),
                Source::looked_up("worker", "orders", None),
            ],
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

impl RollUp for Worker {
    fn name(&self) -> &str {
        "worker.pnl_daily"
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn dependents(&self, tables: &Tables<'_>, _source: usize, order: &Line<'_>, units: &mut Vec<Unit>) {
        fills_of(tables, FILLS, order, units);
    }

    fn contribute(&self, tables: &Tables<'_>, source: usize, row: &Line<'_>, out: &mut Contributions) {
        let made = match source {
            FILLS => fill(tables, row),
            FUNDING_PAYMENTS => payment(row).map(Some),
            other => unreachable!("source {other} drives nothing"),
        };
        match made {
            Ok(Some((group, measures))) => out.add(group, measures),
            Ok(None) => {}
            Err(why) => out.unusable(row, why),
        }
    }
}

type Made = (GroupKey, Vec<BigDecimal>);

/// Nothing without an order: account and market would be missing.
fn fill(tables: &Tables<'_>, fill: &Line<'_>) -> Result<Option<Made>, Why> {
    let Some(order_id) = fill.bytes("order_id")? else { return Ok(None) };
    let orders = tables.find(ORDERS, "id", order_id);
    let Some(order) = orders.first() else { return Ok(None) };
    let day = fill.day("filled_at")?;
    let group = GroupKey::new(&[&day, order.text("exchange")?, order.text("symbol")?, fill.text("fee_asset")?]);
    let volume = fill.number("price_quote")? * fill.number("quantity_base")?;
    Ok(Some((group, vec![fill.number("fee_quote")?, BigDecimal::zero(), volume, BigDecimal::from(1)])))
}

fn payment(row: &Line<'_>) -> Result<Made, Why> {
    let day = row.day("paid_at")?;
    let group = GroupKey::new(&[&day, row.text("exchange")?, row.text("symbol")?, row.text("asset")?]);
    Ok((group, vec![BigDecimal::zero(), row.number("amount_quote")?, BigDecimal::zero(), BigDecimal::zero()]))
}
