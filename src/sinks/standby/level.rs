//! One price level of a book.

use bigdecimal::BigDecimal;

use super::books::{Resting, ShownLevel};

/// The orders at one price, summed.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    quantity: BigDecimal,
    orders: u64,
    /// How many orders write their price with so many decimals; likewise their quantity.
    price_scales: Scales,
    quantity_scales: Scales,
}

impl Level {
    /// Adds an order, or takes it out.
    pub(super) fn change(&mut self, order: &Resting, add: bool) {
        if add {
            self.quantity += &order.quantity;
            self.orders += 1;
        } else {
            self.quantity -= &order.quantity;
            self.orders -= 1;
        }
        self.price_scales.change(&order.price, add);
        self.quantity_scales.change(&order.quantity, add);
    }

    /// Whether no order is left.
    pub(super) fn is_empty(&self) -> bool {
        self.orders == 0
    }

    /// As shown, with the most decimals any of its orders has.
    pub(super) fn shown(&self, price: &BigDecimal) -> ShownLevel {
        ShownLevel {
            price: price.with_scale(self.price_scales.largest()).to_plain_string(),
            quantity: self.quantity.with_scale(self.quantity_scales.largest()).to_plain_string(),
            orders: self.orders,
        }
    }
}

/// How often each number of decimals occurs; nearly always one entry.
#[derive(Debug, Clone, Default)]
struct Scales(Vec<(i64, u64)>);

impl Scales {
    fn change(&mut self, number: &BigDecimal, add: bool) {
        let scale = number.fractional_digit_count();
        match self.0.iter().position(|(s, _)| *s == scale) {
            Some(i) if add => self.0[i].1 += 1,
            Some(i) => {
                self.0[i].1 -= 1;
                self.0.retain(|(_, n)| *n > 0);
            }
            None => self.0.push((scale, 1)),
        }
    }

    fn largest(&self) -> i64 {
        self.0.iter().map(|(scale, _)| *scale).max().unwrap_or(0)
    }
}
