//! A position at average cost, in whole units. Its row is all there is to it, so that a restart loses nothing.

use super::{PRICE_SCALE, QTY_SCALE, USDC_SCALE};
use crate::engines::perplex::{Direction, Position};
use crate::sim::{Image, column, fixed, units};

/// x18 units of one unit of price.
const X18_PER_PRICE: i128 = 10_i128.pow(18 - PRICE_SCALE as u32);

/// x18 price times quantity units, of one unit of USDC.
const X18_QTY_PER_USDC: i128 = 10_i128.pow((18 + QTY_SCALE - USDC_SCALE) as u32);

/// Leverage of every position; liquidation is one part of it away from the entry.
const LEVERAGE: i128 = 10;

/// A position; quantities are signed, positive is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Holding {
    pub size: i128,
    entry_x18: i128,
    realised: i128,
    funding_paid: i128,
}

impl Holding {
    /// From its row; none is an empty position.
    pub fn from_row(row: Option<&Image>) -> Self {
        let Some(row) = row else { return Self::default() };
        let size = units(column(row, "size"), QTY_SCALE);
        Self {
            size: if column(row, "side") == Direction::Short.text() { -size } else { size },
            entry_x18: units(column(row, "entry_price_x18"), 0),
            realised: units(column(row, "realised_pnl_usdc"), USDC_SCALE),
            funding_paid: units(column(row, "funding_paid_usdc"), USDC_SCALE),
        }
    }

    /// Fills a signed quantity; returns what it realises in USDC units. An increase averages the entry, a decrease
    /// realises against it, a flip starts again at the price.
    pub fn fill(&mut self, qty: i128, price: i128) -> i128 {
        let price_x18 = price * X18_PER_PRICE;
        let after = self.size + qty;
        if self.size.signum() * qty.signum() >= 0 {
            let (held, added) = (self.size.abs(), qty.abs());
            self.entry_x18 = (self.entry_x18 * held + price_x18 * added) / (held + added);
            self.size = after;
            return 0;
        }
        let closed = self.size.abs().min(qty.abs()) * self.size.signum();
        let realised = ((price_x18 - self.entry_x18) * closed).div_euclid(X18_QTY_PER_USDC);
        self.realised += realised;
        if after.signum() == qty.signum() {
            self.entry_x18 = price_x18;
        }
        self.size = after;
        realised
    }

    /// Its row at a mark price.
    pub fn row(&self, address: &str, market_id: &str, mark: i128, ts_ns: i64) -> Position {
        let mark_x18 = mark * X18_PER_PRICE;
        let usdc = |x18: i128| fixed((x18 * self.size).div_euclid(X18_QTY_PER_USDC), USDC_SCALE);
        let amount = |text: String| text.parse().expect("fixed makes amounts");
        let notional = (mark_x18 * self.size.abs()).div_euclid(X18_QTY_PER_USDC);
        let away = self.entry_x18 / LEVERAGE * self.size.signum();
        Position {
            address: address.to_owned(),
            market_id: market_id.to_owned(),
            size: amount(fixed(self.size.abs(), QTY_SCALE)),
            side: if self.size < 0 { Direction::Short } else { Direction::Long },
            entry_price_x18: amount(fixed(self.entry_x18, 0)),
            mark_price_x18: amount(fixed(mark_x18, 0)),
            notional_usdc: amount(fixed(notional, USDC_SCALE)),
            unrealised_pnl_usdc: amount(usdc(mark_x18 - self.entry_x18)),
            realised_pnl_usdc: amount(fixed(self.realised, USDC_SCALE)),
            leverage: amount(fixed(LEVERAGE, 0)),
            liquidation_price_x18: amount(fixed(self.entry_x18 - away, 0)),
            funding_paid_usdc: amount(fixed(self.funding_paid, USDC_SCALE)),
            last_updated_ts_ns: ts_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_cost_realises_on_the_way_down_and_restarts_at_a_flip() {
        let mut holding = Holding::default();
        let mut realised = Vec::new();
        // Quantities in thousandths, prices in cents: 12@100, 17@99, -9@101, -4@105, 3@103, then a flip to short.
        for (qty, price) in [(12, 100), (17, 99), (-9, 101), (-4, 105), (3, 103), (-40, 110)] {
            realised.push(holding.fill(qty * 1000, price * 100));
        }
        assert_eq!(realised[..2], [0, 0]);
        assert_eq!(realised[2], 14_275_862, "9 x (101 - 99.41379..)");
        assert_eq!(realised[3], 22_344_827, "4 x (105 - 99.41379..)");
        assert_eq!((holding.size, holding.entry_x18), (-21_000, 110 * 10_i128.pow(18)));
    }
}
