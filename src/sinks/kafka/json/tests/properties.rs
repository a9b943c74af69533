//! What must hold for any value.

use proptest::prelude::*;

use super::{DEFAULT, DOUBLE, ISO, MICROSECONDS, PRECISE};
use crate::sinks::kafka::json::{Encoder, Json, Types};

const TEXT: u32 = 25;
const TEXT_ARRAY: u32 = 1009;
const NUMERIC: u32 = 1700;

fn put(type_oid: u32, text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    Encoder::choose(type_oid, -1, &DEFAULT, &Types::default()).put::<Json>(text, &mut out)?;
    Ok(out)
}

/// An array literal of `items`, quoted as Postgres does.
fn literal(items: &[Option<String>]) -> String {
    let quoted = |item: &Option<String>| match item {
        Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        None => "NULL".to_owned(),
    };
    format!("{{{}}}", items.iter().map(quoted).collect::<Vec<_>>().join(","))
}

proptest! {
    #[test]
    fn any_text_comes_back(text in any::<String>()) {
        let out = put(TEXT, text.as_bytes()).unwrap();
        let back: String = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(back, text);
    }

    #[test]
    fn any_array_of_texts_comes_back(items in proptest::collection::vec(any::<Option<String>>(), 0..8)) {
        let out = put(TEXT_ARRAY, literal(&items).as_bytes()).unwrap();
        let back: Vec<Option<String>> = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(back, items);
    }

    #[test]
    fn any_decimal_comes_back(text in "-?(0|[1-9][0-9]{0,90})(\\.[0-9]{1,40})?") {
        let out = put(NUMERIC, text.as_bytes()).unwrap();
        let back: String = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(back, text);
    }

    #[test]
    fn any_precise_decimal_comes_back(text in "-?(0|[1-9][0-9]{0,90})(\\.[0-9]{1,40})?") {
        use base64::Engine;
        let mut out = Vec::new();
        Encoder::choose(NUMERIC, -1, &PRECISE, &Types::default()).put::<Json>(text.as_bytes(), &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(json["value"].as_str().unwrap()).unwrap();
        let number = bigdecimal::num_bigint::BigInt::from_signed_bytes_be(&bytes);
        let back = bigdecimal::BigDecimal::new(number.clone(), json["scale"].as_i64().unwrap());
        prop_assert_eq!(back, text.parse::<bigdecimal::BigDecimal>().unwrap());
        prop_assert_eq!(number.to_signed_bytes_be(), bytes, "the shortest bytes");
    }

    #[test]
    fn any_bytes_are_json_or_refused(at in 0usize..100_000, text in proptest::collection::vec(any::<u8>(), 0..40)) {
        let oids = [16, 17, 20, 600, 701, 790, 1007, 1009, 1082, 1083, 1114, 1184, 1186, 1266, 1560, 1700];
        let modes = [DEFAULT, PRECISE, DOUBLE, MICROSECONDS, ISO];
        let modifiers = [-1, 0, 1, 3, 6, 655_366];
        let encoder =
            Encoder::choose(oids[at % 16], modifiers[at / 16 % 6], &modes[at / 96 % 5], &Types::default());
        let mut out = Vec::new();
        if encoder.put::<Json>(&text, &mut out).is_ok() {
            serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        }
    }

    #[test]
    fn any_likely_text_is_json_or_refused(at in 0usize..100_000, text in "[-+{}(),:. 0-9a-eyrmonsBCNULT\"\\\\]{0,30}") {
        let oids = [16, 17, 20, 600, 701, 790, 1007, 1009, 1082, 1083, 1114, 1184, 1186, 1266, 1560, 1700];
        let modes = [DEFAULT, PRECISE, DOUBLE, MICROSECONDS, ISO];
        let encoder = Encoder::choose(oids[at % 16], -1, &modes[at / 96 % 5], &Types::default());
        let mut out = Vec::new();
        if encoder.put::<Json>(text.as_bytes(), &mut out).is_ok() {
            serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        }
    }
}
