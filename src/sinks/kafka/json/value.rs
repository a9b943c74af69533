//! A column's encoder: from the text that Postgres sent to JSON.
//!
//! Chosen once a relation from type, type modifier and modes; then writing a value is one match and no allocation, but for
//! precise decimals of more than 38 digits, array elements with escapes, and `hstore`.
//! What Debezium's documentation leaves open is said where it is decided: in `decimal`, `time`, `binary`, `array`, and:
//!
//! * Types that Debezium leaves out unless `include.unknown.datatypes` is on (`name`, `pg_lsn`, `line`, `box`, `circle`,
//!   multiranges, composites, and arrays of `money`, `point`, `interval` and such) are Postgres's text, and arrays of it.
//! * `character(n)` keeps its padding, as in Debezium.
//! * A type that was guessed by its name (`hstore`, arrays of enums) is text where the guess turns out wrong.
//!
//! `tests/debezium.rs` holds what Debezium 3.6.3 wrote, and every difference with its reason.

use super::modes::{Intervals, Modes, Times};
use super::text::{put_base64, put_number, put_str, put_text};
use super::time::Unit;
use super::types::{Kind, Shape, Types};
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

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Bool,
    Integer,
    Float,
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
    Bits,
    Point,
    Text,
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
        let texts = || Form::Array { element: Box::new(Form::Text), element_oid: type_oid, delimiter: b',' };
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

    /// Appends the JSON of a value, or says why there is none: a reason that continues "column x ..". What was appended
    /// until then is the caller's to cut off.
    pub fn put(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.0.put(text, out)
    }

    /// Appends what stands for an out-of-line value that was not sent.
    pub fn put_unavailable(&self, out: &mut Vec<u8>) {
        self.0.put_unavailable(out);
    }

    /// Appends the zero that Debezium writes for a value it does not know, in `Compat::Strict`.
    pub fn put_filler(&self, out: &mut Vec<u8>) {
        let zero: &[u8] = match &self.0 {
            Form::Bool => b"f",
            Form::Integer | Form::Float => b"0",
            Form::Numeric(form) | Form::Money(form) => return form.put_zero(out),
            Form::Date(_) => b"1970-01-01",
            Form::Time(_) => b"00:00:00",
            Form::TimeTz => b"00:00:00+00",
            Form::Timestamp(_) => b"1970-01-01 00:00:00",
            Form::TimestampTz { .. } => return out.extend_from_slice(b"\"1970-01-01T00:00:00Z\""),
            Form::Interval(_) => b"00:00:00",
            Form::Bytes => b"\\x",
            Form::Bit => b"0",
            Form::Bits | Form::Text | Form::Hstore => b"",
            Form::Point => b"(0,0)",
            Form::Array { .. } => b"{}",
            Form::Guess(form) => return Self((**form).clone()).put_filler(out),
        };
        self.put(zero, out).expect("a zero has a form");
    }
}

impl Form {
    fn put_unavailable(&self, out: &mut Vec<u8>) {
        match self {
            Form::Array { element_oid, .. } if NUMBERED.contains(element_oid) => {
                for (at, byte) in UNAVAILABLE.bytes().enumerate() {
                    out.push(if at == 0 { b'[' } else { b',' });
                    put_number(byte, out);
                }
                out.push(b']');
            }
            Form::Array { element, element_oid, .. } => {
                out.push(b'[');
                if *element_oid == UUID {
                    put_str(UNAVAILABLE_UUID, out)
                } else {
                    element.put_unavailable(out)
                }
                out.push(b']');
            }
            Form::Guess(form) => form.put_unavailable(out),
            Form::Hstore => put_str(&format!("{{\"{UNAVAILABLE}\":\"{UNAVAILABLE}\"}}"), out),
            Form::Bytes | Form::Bits => put_base64(UNAVAILABLE.as_bytes(), out),
            _ => put_str(UNAVAILABLE, out),
        }
    }

    fn of(kind: Kind, type_modifier: i32, modes: &Modes) -> Self {
        match kind {
            Kind::Bool => Form::Bool,
            Kind::Integer => Form::Integer,
            Kind::Float => Form::Float,
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
            Kind::Bits => Form::Bits,
            Kind::Point => Form::Point,
            Kind::Text => Form::Text,
        }
    }

    fn put(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self {
            Form::Bool => number::put_bool(text, out),
            Form::Integer => number::put_integer(text, out),
            Form::Float => number::put_float(text, out),
            Form::Numeric(form) => form.put(text, out),
            Form::Money(form) => decimal::put_money(*form, text, out),
            Form::Date(mode) => time::put_date(*mode, text, out),
            Form::Time(unit) => time::put_time(*unit, text, out),
            Form::TimeTz => time::put_timetz(text, out),
            Form::Timestamp(unit) => time::put_timestamp(*unit, text, out),
            Form::TimestampTz { digits } => time::put_timestamptz(*digits, text, out),
            Form::Interval(mode) => time::put_interval(*mode, text, out),
            Form::Bytes => binary::put_bytes(text, out),
            Form::Bit => binary::put_bit(text, out),
            Form::Bits => binary::put_bits(text, out),
            Form::Point => binary::put_point(text, out),
            Form::Text => put_text(text, out),
            Form::Hstore => hstore::put_hstore(text, out),
            Form::Guess(form) => {
                let start = out.len();
                form.put(text, out).or_else(|_| {
                    out.truncate(start);
                    put_text(text, out)
                })
            }
            Form::Array { element, delimiter, .. } => {
                array::put_array(text, *delimiter, &|text, out| element.put(text, out), out)
            }
        }
    }
}
