//! `meltica.pnl_daily`. The unit is an execution with its order. A fee in another asset is a group of its own.

use bigdecimal::{BigDecimal, Zero};

use super::{asset_of, fills_of, pnl_daily};
use crate::sinks::rollup::contract::{Contributions, GroupKey, Line, RollUp, Source, Tables, Target, Unit, Why};

const EXECUTIONS: usize = 0;
const ORDERS: usize = 1;

/// Stands for no strategy, and for a fee whose asset is not named.
const NONE: &str = "-";

/// Fees, volume and fills by provider, strategy and instrument.
pub struct Meltica {
    target: Target,
    sources: Vec<Source>,
}

impl Meltica {
    /// The roll-up.
    #[must_use]
    pub fn new() -> Self {
        Self {
            target: pnl_daily("meltica", &[("fees", "numeric"), ("volume", "numeric"), ("fill_count", "bigint")]),
            sources: vec![
                Source::driving("meltica", "executions", Some("order_id")),
                Source::looked_up("meltica", "orders", None),
            ],
        }
    }
}

impl Default for Meltica {
    fn default() -> Self {
        Self::new()
    }
}

impl RollUp for Meltica {
    fn name(&self) -> &str {
        "meltica.pnl_daily"
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn dependents(&self, tables: &Tables<'_>, _source: usize, order: &Line<'_>, units: &mut Vec<Unit>) {
        fills_of(tables, EXECUTIONS, order, units);
    }

    fn contribute(&self, tables: &Tables<'_>, _source: usize, execution: &Line<'_>, out: &mut Contributions) {
        let orders = execution.bytes("order_id").map(|id| tables.find(ORDERS, "id", id.unwrap_or_default()));
        let orders = match orders {
            Ok(orders) => orders,
            Err(why) => return out.unusable(execution, why),
        };
        for order in orders {
            match contributions(execution, &order) {
                Ok(both) => both.into_iter().for_each(|(group, measures)| out.add(group, measures)),
                Err(why) => out.unusable(execution, why),
            }
        }
    }
}

/// The fill, and its fee where that is another group. Measures: fees, volume, count.
fn contributions(execution: &Line<'_>, order: &Line<'_>) -> Result<Vec<(GroupKey, Vec<BigDecimal>)>, Why> {
    let market = order.text("instrument")?;
    let asset = asset_of(market, '-')?;
    let day = execution.day("traded_at")?;
    let volume = execution.number("fill_price")? * execution.number("fill_quantity")?;
    let fee = execution.decimal("fee")?;
    let fee_asset = execution.bytes("fee_asset")?.map(|_| execution.text("fee_asset")).transpose()?;
    let strategy = order.bytes("strategy_instance_id")?.map(|_| order.text("strategy_instance_id")).transpose()?;
    let account = format!("{}/{}", execution.text("provider_id")?, strategy.unwrap_or(NONE));
    let group = |asset: &str| GroupKey::new(&[&day, &account, market, asset]);
    let at_home = fee_asset == Some(asset);
    let own_fee = if at_home { fee.clone().unwrap_or_default() } else { BigDecimal::zero() };
    let mut all = vec![(group(asset), vec![own_fee, volume, BigDecimal::from(1)])];
    if let (Some(fee), true) = (fee, fee_asset.unwrap_or(NONE) != asset) {
        all.push((group(fee_asset.unwrap_or(NONE)), vec![fee, BigDecimal::zero(), BigDecimal::zero()]));
    }
    Ok(all)
}
