//! An actor's open state: its live rows, as images. Effects change it, and rows read back rebuild it.

use std::collections::BTreeMap;

use super::actor::{Effect, Image, Rows};

/// Live rows by table and key, in key order.
#[derive(Debug, Default)]
pub struct World {
    tables: BTreeMap<String, BTreeMap<BTreeMap<String, String>, Image>>,
}

impl World {
    /// The row of `table` with this key.
    #[must_use]
    pub fn get(&self, table: &str, key: &[(&str, &str)]) -> Option<&Image> {
        let key = key.iter().map(|&(column, value)| (column.to_owned(), value.to_owned())).collect();
        self.tables.get(table)?.get(&key)
    }

    /// The rows of `table`, in key order.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = &Image> {
        self.tables.get(table).into_iter().flat_map(BTreeMap::values)
    }

    /// Takes over what an event did; rows for which `live` says no are left to Postgres.
    pub fn fold(&mut self, effects: Vec<Effect>, live: impl Fn(&str, &Image) -> bool) {
        for effect in effects {
            let after = effect.after.filter(|image| live(&effect.table, image));
            let rows = self.tables.entry(effect.table).or_default();
            match after {
                Some(image) => rows.insert(effect.key, image),
                None => rows.remove(&effect.key),
            };
        }
    }

    /// Takes the rows of `table` that are `mine`, identified by the columns `key`.
    pub fn load(&mut self, rows: &Rows, table: &str, key: &[&str], mine: impl Fn(&Image) -> bool) {
        let taken = rows.of(table).filter(|image| mine(image)).map(|image| Effect::row(table, key, image.clone()));
        self.fold(taken.collect(), |_, _| true);
    }
}

/// The text of a column that the actor knows to be there and not NULL.
///
/// # Panics
/// When it is not.
#[must_use]
pub fn column<'a>(image: &'a Image, name: &str) -> &'a str {
    image.get(name).and_then(Option::as_deref).unwrap_or_else(|| panic!("a row without {name}"))
}

/// Whole units as decimal text with `scale` decimals: `fixed(-1250, 3)` is `-1.250`.
#[must_use]
pub fn fixed(units: i128, scale: usize) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The reverse of [`fixed`], for texts of at most `scale` decimals.
///
/// # Panics
/// When the text is no such number: the actor wrote it itself.
#[must_use]
pub fn units(text: &str, scale: usize) -> i128 {
    let unsigned = text.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let spare = fraction.get(scale..).unwrap_or("");
    assert!(spare.bytes().all(|digit| digit == b'0'), "a number with more than {scale} decimals");
    let fraction = &fraction[..fraction.len() - spare.len()];
    let digits = format!("{whole}{fraction:0<scale$}");
    let magnitude: i128 = digits.parse().expect("a number the actor wrote");
    if text.starts_with('-') { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_go_to_text_and_back() {
        for (value, scale, text) in
            [(-1250, 3, "-1.250"), (5, 3, "0.005"), (0, 2, "0.00"), (7, 0, "7"), (-5, 2, "-0.05")]
        {
            assert_eq!(fixed(value, scale), text);
            assert_eq!(units(text, scale), value);
        }
        assert_eq!(units("2.5000000000000000", 3), 2500);
        assert_eq!(units("3", 2), 300);
    }
}
