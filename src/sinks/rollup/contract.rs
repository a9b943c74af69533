//! What a roll-up is: a function from rows to contributions, of which the target holds the sums.
//!
//! Architecture invariant: a roll-up only says what one unit contributes *now*. Before and after, sums, positions,
//! quarantine and SQL are the same for all, so compiling the SELECT can replace the roll-ups written by hand.

use bigdecimal::BigDecimal;

use crate::model::TableName;
use crate::sinks::numbers;
use crate::sinks::standby::{Row, Table};

/// The table that holds the sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub table: TableName,
    /// The columns that name a group, with their SQL types. Together its primary key.
    pub keys: Vec<(&'static str, &'static str)>,
    /// The columns that are summed, with their SQL types; `contributions` (bigint) stands for itself. Columns not named
    /// here stay NULL.
    pub measures: Vec<(&'static str, &'static str)>,
    /// Digits before the point that every measure holds; `None` where they are not bounded. A group with a larger sum is
    /// kept out of the target.
    pub digits_max: Option<u64>,
}

/// A table that a roll-up reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The table.
    pub table: TableName,
    /// Whether each of its rows is a unit. The others are looked up from those.
    pub drives: bool,
    /// Columns that its rows are looked up by, besides the key.
    pub index: Option<&'static str>,
}

impl Source {
    /// A table whose rows are units.
    #[must_use]
    pub fn driving(schema: &str, name: &str, index: Option<&'static str>) -> Self {
        Self { table: TableName::new(schema, name), drives: true, index }
    }

    /// A table that is looked up.
    #[must_use]
    pub fn looked_up(schema: &str, name: &str, index: Option<&'static str>) -> Self {
        Self { table: TableName::new(schema, name), drives: false, index }
    }
}

/// A roll-up.
pub trait RollUp: Send + Sync {
    /// Its name: `schema.table` of the target.
    fn name(&self) -> &str;

    /// Where the sums are kept.
    fn target(&self) -> &Target;

    /// The tables it reads. The other methods name them by their index in this list.
    fn sources(&self) -> &[Source];

    /// Rows of driving tables whose contributions depend on `row` of the looked-up table `source`.
    fn dependents(&self, tables: &Tables<'_>, source: usize, row: &Line<'_>, units: &mut Vec<Unit>);

    /// What `row` of the driving table `source` contributes. Rows that cannot be used are named to `out` and contribute
    /// nothing.
    fn contribute(&self, tables: &Tables<'_>, source: usize, row: &Line<'_>, out: &mut Contributions);
}

/// A row of a driving table, by its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unit {
    /// The driving table.
    pub source: usize,
    /// The row's key, as the standby keeps it.
    pub key: Box<[u8]>,
}

/// The tables of a roll-up at one moment of the apply.
pub struct Tables<'a>(pub(super) Vec<Option<&'a Table>>);

impl<'a> Tables<'a> {
    /// The rows of `source` whose `column` is `value`.
    #[must_use]
    pub fn find(&self, source: usize, column: &str, value: &[u8]) -> Vec<Line<'a>> {
        let Some(table) = self.0[source] else { return Vec::new() };
        let Some(index) = table.relation().column(column) else { return Vec::new() };
        table.find(&[(index, Some(value))]).map(|row| Line { table, row, source }).collect()
    }

    /// All rows of `source`.
    pub(super) fn all(&self, source: usize) -> impl Iterator<Item = Line<'a>> {
        let table = self.0[source];
        table.into_iter().flat_map(move |table| table.rows().map(move |row| Line { table, row, source }))
    }
}

/// A row with the names of its columns.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    pub(super) table: &'a Table,
    pub(super) row: Row<'a>,
    pub(super) source: usize,
}

/// Why a row cannot be used.
pub type Why = String;

impl<'a> Line<'a> {
    /// The unit that this row of a driving table is.
    #[must_use]
    pub fn unit(&self) -> Unit {
        Unit { source: self.source, key: self.row.key_bytes().into() }
    }

    /// The value of a column; `None` is NULL.
    pub fn bytes(&self, column: &str) -> Result<Option<&'a [u8]>, Why> {
        let index = self.table.relation().column(column).ok_or_else(|| format!("there is no column {column}"))?;
        Ok(self.row.cell(index))
    }

    /// The text of a column.
    pub fn text(&self, column: &str) -> Result<&'a str, Why> {
        let bytes = self.bytes(column)?.ok_or_else(|| format!("{column} is NULL"))?;
        std::str::from_utf8(bytes).map_err(|_| format!("{column} is not UTF-8"))
    }

    /// The number in a column; `None` is NULL.
    pub fn decimal(&self, column: &str) -> Result<Option<BigDecimal>, Why> {
        let number = |text| numbers::decimal(text).map_err(|why| format!("{column} {why}"));
        self.bytes(column)?.map(number).transpose()
    }

    /// The number in a column that is not NULL.
    pub fn number(&self, column: &str) -> Result<BigDecimal, Why> {
        self.decimal(column)?.ok_or_else(|| format!("{column} is NULL"))
    }

    /// The UTC day of a `timestamptz` column.
    pub fn day(&self, column: &str) -> Result<String, Why> {
        let bytes = self.bytes(column)?.ok_or_else(|| format!("{column} is NULL"))?;
        numbers::utc_day(bytes).map_err(|why| format!("{column} {why}"))
    }
}

/// What a unit contributes, and which rows it could not use.
#[derive(Debug, Default)]
pub struct Contributions {
    pub(super) sums: Vec<(GroupKey, Vec<BigDecimal>)>,
    pub(super) unusable: Vec<Unusable>,
}

/// Names a group: the texts of the target's key columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(pub(super) Box<str>);

/// Between the parts of a [`GroupKey`]: no text of Postgres can hold it.
pub(super) const PART_END: char = '\0';

impl GroupKey {
    /// A group by the values of the target's key columns.
    #[must_use]
    pub fn new(parts: &[&str]) -> Self {
        Self(parts.join("\0").into())
    }

    /// The values of the target's key columns.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split(PART_END)
    }
}

/// A row that a roll-up cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The table.
    pub source: usize,
    /// The row's cells, as the standby keeps them.
    pub cells: Box<[u8]>,
    /// What is wrong with it.
    pub why: Why,
}

impl Contributions {
    /// One contribution: a value for each of the target's measures, in their order.
    pub fn add(&mut self, group: GroupKey, measures: Vec<BigDecimal>) {
        self.sums.push((group, measures));
    }

    /// A row that cannot be used.
    pub fn unusable(&mut self, line: &Line<'_>, why: Why) {
        self.unusable.push(Unusable { source: line.source, cells: line.row.bytes().into(), why });
    }
}
