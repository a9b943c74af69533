//! `openmatch.pnl_daily`. The unit is a trade, once for its taker and once for its maker.

use bigdecimal::BigDecimal;

use super::{asset_of, pnl_daily};
use crate::sinks::rollup::contract::{Contributions, GroupKey, Line, RollUp, Source, Tables, Target, Unit, Why};

/// Volume and number of trade sides by user and market.
pub struct Openmatch {
    target: Target,
    sources: Vec<Source>,
}

impl Openmatch {
    /// The roll-up.
    #[must_use]
    pub fn new() -> Self {
        Self {
            target: pnl_daily("openmatch", &[("volume", "numeric"), ("fill_count", "bigint")]),
            sources: vec![Source::driving("openmatch", "trades", None)],
        }
    }
}

impl Default for Openmatch {
    fn default() -> Self {
        Self::new()
    }
}

impl RollUp for Openmatch {
    fn name(&self) -> &str {
        "openmatch.pnl_daily"
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn dependents(&self, _: &Tables<'_>, _: usize, _: &Line<'_>, _: &mut Vec<Unit>) {}

    fn contribute(&self, _: &Tables<'_>, _: usize, trade: &Line<'_>, out: &mut Contributions) {
        match sides(trade) {
            Ok(sides) => sides.into_iter().for_each(|(group, measures)| out.add(group, measures)),
            Err(why) => out.unusable(trade, why),
        }
    }
}

fn sides(trade: &Line<'_>) -> Result<[(GroupKey, Vec<BigDecimal>); 2], Why> {
    let market = trade.text("market")?;
    let asset = asset_of(market, '/')?;
    let day = trade.day("executed_at")?;
    let volume = trade.number("quote_amount")?;
    let side = |user: &str| (GroupKey::new(&[&day, user, market, asset]), vec![volume.clone(), BigDecimal::from(1)]);
    Ok([side(trade.text("taker_user_id")?), side(trade.text("maker_user_id")?)])
}
