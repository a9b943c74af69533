//! Which of Debezium's forms values are written in.

/// The forms of values that a connector's configuration chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modes {
    /// `numeric` and `money`.
    pub decimals: Decimals,
    /// `date`, `time` and `timestamp`. With a time zone they are text in every mode.
    pub times: Times,
    /// `interval`.
    pub intervals: Intervals,
    /// Columns that were not sent.
    pub compat: Compat,
}

/// Debezium's `decimal.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimals {
    /// `string`: plain text at the column's scale.
    #[default]
    Text,
    /// `precise`: base64 of the unscaled value, big-endian two's complement; with its scale where the column has none.
    Precise,
    /// `double`: the nearest double. Loses digits, which is what its name says.
    Double,
}

/// Debezium's `time.precision.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// `adaptive`: days; milliseconds for columns of at most three fractional digits, else microseconds.
    #[default]
    Adaptive,
    /// `microseconds`: days; microseconds.
    Microseconds,
    /// `isostring`: ISO 8601 with `Z`.
    IsoString,
}

/// Debezium's `interval.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Intervals {
    /// `numeric`: microseconds, a month being 365.25 / 12 days.
    #[default]
    Microseconds,
    /// `string`: `P1Y2M3DT4H5M6.7S`.
    IsoString,
}

/// What stands for the columns that a delete under a key's identity does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// `null`: nothing is known, nothing is said.
    #[default]
    Honest,
    /// Debezium's fillers, zeros by type.
    ///
    /// What it cannot know yet, for the stream does not tell: whether a column is NOT NULL (Debezium writes `null` in the
    /// others), and its DEFAULT (Debezium writes that instead of the zero, and instead of a NULL that was inserted).
    Strict,
}
