//! Postgres's array literals.
//!
//! ```text
//! literal := [ '[' bounds ']' .. '=' ] array
//! array   := '{' [ item ( ',' item )* ] '}'              as deep as the array has dimensions
//! item    := array | NULL | bare text | '"' text with \ before " and \ '"'
//! ```
//!
//! As in Debezium, lower bounds other than 1 are left out: arrays of JSON and Avro have none. Of several dimensions Debezium
//! keeps only the outer one, filled with nulls; here they are nested arrays in JSON, and refused in Avro, whose schema
//! would have to say how many they are (Postgres's columns do not: `int[]` holds any).

use super::atoms::Atoms;

pub(super) const NOT_AN_ARRAY: &str = "is not an array";

/// Appends an element from its text.
type Put<'a> = dyn Fn(&[u8], &mut Vec<u8>) -> Result<(), &'static str> + 'a;

/// Appends the array `literal`; `put` writes an element from its text. Elements with escapes are unescaped into a buffer
/// of the call's own, the only allocation.
pub(super) fn put_array<A: Atoms>(
    literal: &[u8],
    delimiter: u8,
    put: &Put<'_>,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let mut reader = Reader { rest: without_bounds(literal)?, delimiter, put, unescaped: Vec::new() };
    reader.array::<A>(1, out)?;
    if reader.rest.is_empty() { Ok(()) } else { Err(NOT_AN_ARRAY) }
}

struct Reader<'a> {
    rest: &'a [u8],
    delimiter: u8,
    put: &'a Put<'a>,
    unescaped: Vec<u8>,
}

impl Reader<'_> {
    fn array<A: Atoms>(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let (dimensions_max, too_deep) = A::DIMENSIONS_MAX;
        if depth > dimensions_max {
            return Err(too_deep);
        }
        if !self.take(b'{') {
            return Err(NOT_AN_ARRAY);
        }
        let (start, mut items) = (A::open_array(out), 0);
        if !self.take(b'}') {
            loop {
                A::item(items, out);
                items += 1;
                self.item::<A>(depth, out)?;
                if !self.take(self.delimiter) {
                    break;
                }
            }
            if !self.take(b'}') {
                return Err(NOT_AN_ARRAY);
            }
        }
        A::close_array(start, items, out);
        Ok(())
    }

    fn item<A: Atoms>(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        match self.rest.first() {
            Some(b'{') => self.array::<A>(depth + 1, out),
            Some(b'"') => {
                A::some(out);
                self.quoted(out)
            }
            Some(_) => self.bare::<A>(out),
            None => Err(NOT_AN_ARRAY),
        }
    }

    fn bare<A: Atoms>(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let ends = |byte: &u8| *byte == self.delimiter || *byte == b'}';
        let (text, rest) = self.rest.split_at(self.rest.iter().position(ends).ok_or(NOT_AN_ARRAY)?);
        self.rest = rest;
        match text {
            b"" => return Err(NOT_AN_ARRAY),
            b"NULL" => A::none(out),
            text => {
                A::some(out);
                (self.put)(text, out)?;
            }
        }
        Ok(())
    }

    fn quoted(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let inside = &self.rest[1..];
        let (mut end, mut escaped) = (0, false);
        loop {
            match inside.get(end).ok_or(NOT_AN_ARRAY)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        self.rest = &inside[end + 1..];
        let text = &inside[..end];
        if !escaped {
            return (self.put)(text, out);
        }
        self.unescaped.clear();
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            self.unescaped.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
        }
        (self.put)(&self.unescaped, out)
    }

    fn take(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// `{1,2}` of `[0:1]={1,2}`.
fn without_bounds(literal: &[u8]) -> Result<&[u8], &'static str> {
    if literal.first() != Some(&b'[') {
        return Ok(literal);
    }
    let equals = literal.iter().position(|byte| *byte == b'=').ok_or(NOT_AN_ARRAY)?;
    let bounds = literal[..equals].iter().all(|byte| byte.is_ascii_digit() || b"[]:-+".contains(byte));
    if bounds { Ok(&literal[equals + 1..]) } else { Err(NOT_AN_ARRAY) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::kafka::json::Json;

    #[test]
    fn literals_become_json() {
        let put_text = |text: &[u8], out: &mut Vec<u8>| {
            Json::text(std::str::from_utf8(text).unwrap(), out);
            Ok(())
        };
        let check = |literal: &str, want: Result<&str, &'static str>| {
            let mut out = Vec::new();
            let got = put_array::<Json>(literal.as_bytes(), b',', &put_text, &mut out);
            assert_eq!(got.map(|()| String::from_utf8(out).unwrap()), want.map(str::to_owned), "{literal}");
        };
        check("{}", Ok("[]"));
        check("{a}", Ok(r#"["a"]"#));
        check("{a,NULL,\"NULL\",null}", Ok(r#"["a",null,"NULL","null"]"#));
        check(r#"{"a b","c\"d","e\\f",""}"#, Ok(r#"["a b","c\"d","e\\f",""]"#));
        check(r#"{"x,y","{","}"}"#, Ok(r#"["x,y","{","}"]"#));
        check("{{1,2},{3,NULL}}", Ok(r#"[["1","2"],["3",null]]"#));
        check("[2:3]={1,2}", Ok(r#"["1","2"]"#));
        check("[0:0][-1:-1]={{1}}", Ok(r#"[["1"]]"#));
        for literal in [
            "",
            "a",
            "{",
            "{a",
            "{a,}",
            "{,a}",
            "{a}b",
            "{\"a}",
            "{\"a\\",
            "{a}}",
            "[x]={1}",
            "[1:1]",
            "{{{{{{{1}}}}}}}",
        ] {
            check(literal, Err(NOT_AN_ARRAY));
        }
    }
}
