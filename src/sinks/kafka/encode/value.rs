//! A column's encoder: from the text that Postgres sent to a format's atoms.
//!
//! Chosen once a relation from type, type modifier and modes; then writing a value is one match and no allocation, but for
//! precise decimals of more than 38 digits, array elements with escapes, and `hstore`.
//! What Debezium's documentation leaves open is said where it is decided: in `decimal`, `time`, `binary`, `array`, and:
//!
//! * Types that Debezium leaves out unless `include.unknown.datatypes` is on (`name`, `pg_lsn`, `line`, `box`, `circle`,
//!   multiranges, composites, and arrays of `money`, `point`, `interval` and such) are Postgres's text, and arrays of it.
//! * `character(n)` keeps its padding, as in Debezium.
//! * A type that was guessed by its name (`hstore`, arrays of enums) is text where the guess turns out wrong; a format with a
//!   schema refuses what is no array.
//!
//! `json/tests/debezium.rs` and `avro/tests/debezium.rs` hold what Debezium 3.6.3 wrote, and every difference with its reason.

use super::atoms::Atoms;
use super::modes::{Intervals, Modes, Times};
use super::time::Unit;
use super::types::{Kind, Meaning, Precision, Shape, Types, Width};
use super::{array, binary, decimal, hstore, number, time};

/// What stands for an out-of-line value that an update did not touch.
pub const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// OIDs of elements whose arrays Debezium marks as unavailable by numbers: the placeholder's bytes.
const NUMBERED: [u32; 3] = [20, 23, 1082];

/// What stands for an array of UUIDs: the name-based UUID of the placeholder.
const UNAVAILABLE_UUID: &str = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";
const UUID: u32 = 2950;

/// How a column's values are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoder(Form);

/// The form of a column's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Form {
    Bool,
    Integer(Width),
    Float(Precision),
    Numeric(decimal::Form),
    Money(decimal::Form),
    Date(Times),
    Time(Unit),
    TimeTz,
    Timestamp(Unit),
    TimestampTz {
        digits: usize,
    },
    Interval(Intervals),
    Bytes,
    Bit,
    /// As many as the column holds at most, if that is told.
    Bits {
        length: Option<i32>,
    },
    Point,
    Text(Meaning),
    Hstore,
    /// The form inside, or text where that does not fit.
    Guess(Box<Form>),
    Array {
        element: Box<Form>,
        element_oid: u32,
        delimiter: u8,
    },
}

impl Encoder {
    /// The encoder of a column of this type. Never fails: a type that is not known is text.
    #[must_use]
    pub fn choose(type_oid: u32, type_modifier: i32, modes: &Modes, types: &Types) -> Self {
        let texts =
            || Form::Array { element: Box::new(Form::Text(Meaning::Plain)), element_oid: type_oid, delimiter: b',' };
        Self(match types.shape_of(type_oid) {
            Shape::Hstore => Form::Guess(Box::new(Form::Hstore)),
            Shape::ManyByName => Form::Guess(Box::new(texts())),
            Shape::One(kind) => Form::of(kind, type_modifier, modes),
            Shape::Many { element, kind, delimiter } => {
                let form = Form::of(kind, type_modifier, modes);
                Form::Array { element: Box::new(form), element_oid: element, delimiter }
            }
        })
    }

    /// How its values are written.
    pub(in super::super) fn form(&self) -> &Form {
        &self.0
    }

    /// Appends a value, or says why there is none: a reason that continues "column x ..". What was appended
    /// until then is the caller's to cut off.
    pub fn put<A: Atoms>(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.0.put::<A>(text, out)
    }

    /// Appends what stands for an out-of-line value that was not sent, or says why nothing can.
    pub fn put_unavailable<A: Atoms>(&self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.0.put_unavailable::<A>(out)
    }

    /// Appends the zero that Debezium writes for a value it does not know, in `Compat::Strict`.
    pub fn put_filler<A: Atoms>(&self, out: &mut Vec<u8>) {
        let zero: &[u8] = match &self.0 {
            Form::Bool => b"f",
            Form::Integer(_) | Form::Float(_) => b"0",
            Form::Numeric(form) | Form::Money(form) => return form.put_zero::<A>(out),
            Form::Date(_) => b"1970-01-01",
            Form::Time(_) => b"00:00:00",
            Form::TimeTz => b"00:00:00+00",
            Form::Timestamp(_) => b"1970-01-01 00:00:00",
            Form::TimestampTz { .. } => return A::text("1970-01-01T00:00:00Z", out),
            Form::Interval(_) => b"00:00:00",
            Form::Bytes => b"\\x",
            Form::Bit => b"0",
            Form::Bits { .. } | Form::Text(_) | Form::Hstore => b"",
            Form::Point => b"(0,0)",
            Form::Array { .. } => b"{}",
            Form::Guess(form) => return Self((**form).clone()).put_filler::<A>(out),
        };
        self.put::<A>(zero, out).expect("a zero has a form");
    }
}

impl Form {
    fn put_unavailable<A: Atoms>(&self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Form::Array { element, element_oid, .. } => {
                let start = A::open_array(out);
                let items = element.put_unavailable_items::<A>(*element_oid, out)?;
                A::close_array(start, items, out);
            }
            Form::Guess(form) => form.put_unavailable::<A>(out)?,
            Form::Hstore => A::text(&format!("{{\"{UNAVAILABLE}\":\"{UNAVAILABLE}\"}}"), out),
            Form::Bytes | Form::Bits { .. } => A::bytes(UNAVAILABLE.as_bytes(), out),
            form if A::SCHEMALESS || form.is_text() => A::text(UNAVAILABLE, out),
            _ => return Err("was not sent, and has no form that could say so"),
        }
        Ok(())
    }

    /// Appends the items of an array that was not sent, and returns how many.
    fn put_unavailable_items<A: Atoms>(&self, oid: u32, out: &mut Vec<u8>) -> Result<usize, &'static str> {
        if NUMBERED.contains(&oid) && (A::SCHEMALESS || !self.is_text()) {
            for (at, byte) in UNAVAILABLE.bytes().enumerate() {
                A::item(at, out);
                A::some(out);
                A::integer(i64::from(byte), out);
            }
            return Ok(UNAVAILABLE.len());
        }
        A::item(0, out);
        A::some(out);
        match oid {
            UUID => A::text(UNAVAILABLE_UUID, out),
            _ => self.put_unavailable::<A>(out)?,
        }
        Ok(1)
    }

    /// Whether its values are text in every format.
    fn is_text(&self) -> bool {
        match self {
            Form::Numeric(form) | Form::Money(form) => matches!(form, decimal::Form::Text(_)),
            Form::Date(mode) => *mode == Times::IsoString,
            Form::Time(unit) | Form::Timestamp(unit) => *unit == Unit::IsoString,
            Form::Interval(mode) => *mode == Intervals::IsoString,
            Form::TimeTz | Form::TimestampTz { .. } | Form::Text(_) | Form::Hstore => true,
            Form::Bool | Form::Integer(_) | Form::Float(_) | Form::Bytes | Form::Bit | Form::Bits { .. } => false,
            Form::Point | Form::Guess(_) | Form::Array { .. } => false,
        }
    }

    fn of(kind: Kind, type_modifier: i32, modes: &Modes) -> Self {
        match kind {
            Kind::Bool => Form::Bool,
            Kind::Integer(width) => Form::Integer(width),
            Kind::Float(precision) => Form::Float(precision),
            Kind::Numeric => Form::Numeric(decimal::Form::of_numeric(type_modifier, modes.decimals)),
            Kind::Money => Form::Money(decimal::Form::of_money(modes.decimals)),
            Kind::Date => Form::Date(modes.times),
            Kind::Time => Form::Time(Unit::of(type_modifier, modes.times)),
            Kind::TimeTz => Form::TimeTz,
            Kind::Timestamp => Form::Timestamp(Unit::of(type_modifier, modes.times)),
            Kind::TimestampTz => Form::TimestampTz { digits: time::digits_of(type_modifier) },
            Kind::Interval => Form::Interval(modes.intervals),
            Kind::Bytes => Form::Bytes,
            Kind::Bits if type_modifier == 1 => Form::Bit,
            Kind::Bits => Form::Bits { length: (type_modifier > 0).then_some(type_modifier) },
            Kind::Point => Form::Point,
            Kind::Text(meaning) => Form::Text(meaning),
        }
    }

    fn put<A: Atoms>(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Form::Bool => number::put_bool::<A>(text, out),
            Form::Integer(_) => number::put_integer::<A>(text, out),
            Form::Float(Precision::Single) => A::single(text, out),
            Form::Float(Precision::Double) => A::double_of(text, out),
            Form::Numeric(form) => form.put::<A>(text, out),
            Form::Money(form) => decimal::put_money::<A>(*form, text, out),
            Form::Date(mode) => time::put_date::<A>(*mode, text, out),
            Form::Time(unit) => time::put_time::<A>(*unit, text, out),
            Form::TimeTz => time::put_timetz::<A>(text, out),
            Form::Timestamp(unit) => time::put_timestamp::<A>(*unit, text, out),
            Form::TimestampTz { digits } => time::put_timestamptz::<A>(*digits, text, out),
            Form::Interval(mode) => time::put_interval::<A>(*mode, text, out),
            Form::Bytes => binary::put_bytes::<A>(text, out),
            Form::Bit => binary::put_bit::<A>(text, out),
            Form::Bits { .. } => binary::put_bits::<A>(text, out),
            Form::Point => binary::put_point::<A>(text, out),
            Form::Text(_) => put_text::<A>(text, out),
            Form::Hstore => hstore::put_hstore::<A>(text, out),
            Form::Guess(form) => form.put_guess::<A>(text, out),
            Form::Array { element, delimiter, .. } => {
                array::put_array::<A>(text, *delimiter, &|text, out| element.put::<A>(text, out), out)
            }
        }
    }

    /// Appends a value of a type that was guessed by its name.
    fn put_guess<A: Atoms>(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let start = out.len();
        self.put::<A>(text, out).or_else(|reason| {
            out.truncate(start);
            if A::SCHEMALESS || self.is_text() { put_text::<A>(text, out) } else { Err(reason) }
        })
    }
}

/// Appends any text. Refused if it is not UTF-8 (a SQL_ASCII database).
fn put_text<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    A::text(std::str::from_utf8(text).map_err(|_| "is not UTF-8")?, out);
    Ok(())
}
