//! What a format writes values with.

/// The atoms of a format. Each appends to `out`; none fails but where it parses, and then the row is taken back.
///
/// A value that may be missing follows `some`, or is `none`: that of a column outside the key, and that of an array.
pub trait Atoms {
    /// Whether values say of themselves what they are: without a schema a value of another kind can take its place.
    const SCHEMALESS: bool;
    /// The deepest array, and the reason to refuse a deeper one.
    const DIMENSIONS_MAX: (usize, &'static str);

    /// A value follows.
    fn some(out: &mut Vec<u8>);
    /// There is no value.
    fn none(out: &mut Vec<u8>);
    /// A truth.
    fn boolean(truth: bool, out: &mut Vec<u8>);
    /// An integer from its checked digits.
    fn digits(digits: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str>;
    /// An integer of any width.
    fn integer(number: i64, out: &mut Vec<u8>);
    /// A float4 as Postgres prints it.
    fn single(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str>;
    /// A float8 as Postgres prints it.
    fn double_of(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str>;
    /// A finite double.
    fn double(number: f64, out: &mut Vec<u8>);
    /// Any text.
    fn text(text: &str, out: &mut Vec<u8>);
    /// Text that `write` appends: ASCII without quotes, backslashes and control characters.
    fn plain(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>);
    /// Bytes.
    fn bytes(bytes: &[u8], out: &mut Vec<u8>);
    /// Bytes, of this number, follow in parts.
    fn open_bytes(length: usize, out: &mut Vec<u8>);
    /// A part of them: all but the last are of a multiple of three bytes.
    fn bytes_part(part: &[u8], out: &mut Vec<u8>);
    /// That was the last part.
    fn close_bytes(out: &mut Vec<u8>);
    /// An array begins; returns where.
    fn open_array(out: &mut Vec<u8>) -> usize;
    /// An item follows; the first one has number 0.
    fn item(number: usize, out: &mut Vec<u8>);
    /// The array that began at `start` ends, with this number of items.
    fn close_array(start: usize, items: usize, out: &mut Vec<u8>);
    /// What stands before a record's field of this name, made once.
    fn label(name: &str) -> Vec<u8>;
    /// A field of a record follows; `label` is of [`Self::label`].
    fn field(is_first: bool, label: &[u8], out: &mut Vec<u8>);
    /// A field of a record follows, in a value: its name needs no escapes.
    fn named_field(is_first: bool, name: &'static str, out: &mut Vec<u8>);
    /// The record ends.
    fn close_record(is_empty: bool, out: &mut Vec<u8>);
}

/// Bytes of a part: a multiple of three, so that parts of base64 can follow each other.
pub(super) const PART_BYTES: usize = 48;
