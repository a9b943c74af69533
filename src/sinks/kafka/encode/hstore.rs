//! `hstore` as a string that holds a JSON object, Debezium's default. Pairs stay in the order that Postgres prints; Debezium
//! puts them in that of a Java hash map.

use super::atoms::Atoms;
use crate::sinks::kafka::json::Json;

const NOT_HSTORE: &str = "is not hstore";

/// Appends `"key"=>"value", "key"=>NULL` as `"{\"key\":\"value\",\"key\":null}"`. Allocates: the inner JSON is escaped
/// once more.
pub(super) fn put_hstore<A: Atoms>(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut rest = std::str::from_utf8(text).map_err(|_| NOT_HSTORE)?;
    let mut object = b"{".to_vec();
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        let after = after.strip_prefix("=>").ok_or(NOT_HSTORE)?;
        Json::text(&key, &mut object);
        object.push(b':');
        rest = match after.strip_prefix("NULL") {
            Some(after) => {
                object.extend_from_slice(b"null");
                after
            }
            None => {
                let (value, after) = quoted(after)?;
                Json::text(&value, &mut object);
                after
            }
        };
        if let Some(after) = rest.strip_prefix(", ") {
            object.push(b',');
            rest = if after.is_empty() { return Err(NOT_HSTORE) } else { after };
        } else if !rest.is_empty() {
            return Err(NOT_HSTORE);
        }
    }
    object.push(b'}');
    A::text(std::str::from_utf8(&object).map_err(|_| NOT_HSTORE)?, out);
    Ok(())
}

/// The text between quotes, without its escapes, and what follows.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut unescaped = String::new();
    let mut chars = text.strip_prefix('"').ok_or(NOT_HSTORE)?.chars();
    loop {
        match chars.next().ok_or(NOT_HSTORE)? {
            '"' => return Ok((unescaped, chars.as_str())),
            '\\' => unescaped.push(chars.next().ok_or(NOT_HSTORE)?),
            plain => unescaped.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_an_object_in_a_string() {
        let check = |text: &str, want: Result<&str, &'static str>| {
            let mut out = Vec::new();
            let got = put_hstore::<Json>(text.as_bytes(), &mut out);
            let back = got.map(|()| serde_json::from_slice::<String>(&out).unwrap());
            assert_eq!(back, want.map(str::to_owned), "{text}");
        };
        check("", Ok("{}"));
        check(r#""a"=>"1", "b"=>NULL"#, Ok(r#"{"a":"1","b":null}"#));
        check(r#""a\"b"=>"c\\d, e=>", "ü"=>"NULL""#, Ok(r#"{"a\"b":"c\\d, e=>","ü":"NULL"}"#));
        for text in ["a", r#""a""#, r#""a"=>"#, r#""a"=>1"#, r#""a"=>"1","b"=>"2""#, r#""a"=>"1", "#, r#""a"=>"1"x"#] {
            check(text, Err(NOT_HSTORE));
        }
    }
}
