//! JSON's atoms, as Jackson writes them.

use super::float::{put_double, put_float};
use super::text::{put_base64, put_base64_part, put_number, put_str};
use crate::sinks::kafka::encode::Atoms;

/// Writes values as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Atoms for Json {
    const SCHEMALESS: bool = true;
    /// Postgres's limit.
    const DIMENSIONS_MAX: (usize, &'static str) = (6, "is not an array");

    fn some(_out: &mut Vec<u8>) {}

    fn none(out: &mut Vec<u8>) {
        out.extend_from_slice(b"null");
    }

    fn boolean(truth: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(if truth { b"true" } else { b"false" });
    }

    fn digits(digits: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        out.extend_from_slice(digits);
        Ok(())
    }

    fn integer(number: i64, out: &mut Vec<u8>) {
        put_number(number, out);
    }

    fn single(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        put_float(text, out)
    }

    fn double_of(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        put_float(text, out)
    }

    fn double(number: f64, out: &mut Vec<u8>) {
        put_double(number, out);
    }

    fn text(text: &str, out: &mut Vec<u8>) {
        put_str(text, out);
    }

    fn plain(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        out.push(b'"');
        write(out);
        out.push(b'"');
    }

    fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
        put_base64(bytes, out);
    }

    fn open_bytes(_length: usize, out: &mut Vec<u8>) {
        out.push(b'"');
    }

    fn bytes_part(part: &[u8], out: &mut Vec<u8>) {
        put_base64_part(part, out);
    }

    fn close_bytes(out: &mut Vec<u8>) {
        out.push(b'"');
    }

    fn open_array(out: &mut Vec<u8>) -> usize {
        out.push(b'[');
        out.len()
    }

    fn item(number: usize, out: &mut Vec<u8>) {
        if number > 0 {
            out.push(b',');
        }
    }

    fn close_array(_start: usize, _items: usize, out: &mut Vec<u8>) {
        out.push(b']');
    }

    fn label(name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_str(name, &mut out);
        out.push(b':');
        out
    }

    fn field(is_first: bool, label: &[u8], out: &mut Vec<u8>) {
        out.push(if is_first { b'{' } else { b',' });
        out.extend_from_slice(label);
    }

    fn named_field(is_first: bool, name: &'static str, out: &mut Vec<u8>) {
        out.extend_from_slice(if is_first { b"{\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
    }

    fn close_record(is_empty: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(if is_empty { b"{}" } else { b"}" });
    }
}
