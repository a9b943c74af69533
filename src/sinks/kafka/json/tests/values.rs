//! Every built-in type in each mode; those of time are in `times`.

use super::{DEFAULT, DOUBLE, ISO, MICROSECONDS, NONE, PRECISE, check};
use crate::sinks::kafka::json::{Encoder, Json, Modes, Types};

/// Type modifiers.
const NUMERIC_10_2: i32 = (10 << 16 | 2) + 4;
const NUMERIC_78_0: i32 = (78 << 16) + 4;
const NUMERIC_5_MINUS_2: i32 = (5 << 16 | (-2 & 0x7FF)) + 4;

#[test]
fn numbers_and_truths() {
    let check = |oid, text: &str, want: &str| check(DEFAULT, oid, NONE, text, want);
    check(16, "t", "true");
    check(16, "f", "false");
    check(16, "true", "is not a boolean");
    check(21, "-32768", "-32768");
    check(23, "2147483647", "2147483647");
    check(20, "-9223372036854775808", "-9223372036854775808");
    check(20, "", "is not an integer");
    check(26, "4294967295", "4294967295");
    check(700, "1.5", "1.5");
    check(700, "3.4028235e+38", "3.4028235E38");
    check(701, "0.1", "0.1");
    check(701, "1e-05", "1.0E-5");
    check(701, "NaN", "\"NaN\"");
    check(701, "Infinity", "\"Infinity\"");
    check(701, "-Infinity", "\"-Infinity\"");
}

#[test]
fn decimals_as_text() {
    let check = |modifier, text: &str, want: &str| check(DEFAULT, 1700, modifier, text, want);
    check(NUMERIC_10_2, "1.10", "\"1.10\"");
    check(NONE, "-0.000000000000000000001", "\"-0.000000000000000000001\"");
    check(NUMERIC_78_0, &"9".repeat(78), &format!("\"{}\"", "9".repeat(78)));
    check(NUMERIC_5_MINUS_2, "12300", "\"12300\"");
    check(NONE, "NaN", "\"NAN\"");
    check(NONE, "Infinity", "\"POSITIVE_INFINITY\"");
    check(NONE, "-Infinity", "\"NEGATIVE_INFINITY\"");
    check(NONE, "1e5", "is not a plain decimal number");
    check(NONE, "", "is not a plain decimal number");
}

#[test]
fn decimals_as_precise_bytes() {
    let check = |modifier, text: &str, want: &str| check(PRECISE, 1700, modifier, text, want);
    check(NUMERIC_10_2, "1.10", "\"bg==\"");
    check(NUMERIC_10_2, "0.00", "\"AA==\"");
    check(NUMERIC_10_2, "-0.01", "\"/w==\"");
    check(NUMERIC_10_2, "1.27", "\"fw==\"");
    check(NUMERIC_10_2, "1.28", "\"AIA=\"");
    check(NUMERIC_10_2, "-1.28", "\"gA==\"");
    check(NUMERIC_10_2, "-1.29", "\"/38=\"");
    check(NUMERIC_10_2, "1.1", "\"bg==\"");
    check(NUMERIC_10_2, "1.111", "has more fractional digits than its column");
    check(NUMERIC_5_MINUS_2, "12300", "\"MAw=\"");
    check(NUMERIC_78_0, &format!("1{}", "0".repeat(38)), "\"SztMqFqGxHoJiiJAAAAAAA==\"");
    check(NUMERIC_78_0, &format!("-1{}", "0".repeat(38)), "\"tMSzV6V5O4X2dd3AAAAAAA==\"");
    check(NUMERIC_78_0, &1_i128.wrapping_shl(126).to_string(), "\"QAAAAAAAAAAAAAAAAAAAAA==\"");
    let word = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    check(NUMERIC_78_0, word, &format!("\"AP{}\"", "/".repeat(42)));
    check(NONE, "1.10", r#"{"scale":1,"value":"Cw=="}"#);
    check(NONE, "100", r#"{"scale":0,"value":"ZA=="}"#);
    check(NONE, "0.000", r#"{"scale":0,"value":"AA=="}"#);
    check(NONE, "-12.5000", r#"{"scale":1,"value":"gw=="}"#);
    check(NONE, "NaN", "is NaN or infinite, which precise decimals cannot be");
    check(NUMERIC_10_2, "-Infinity", "is NaN or infinite, which precise decimals cannot be");
}

#[test]
fn decimals_as_doubles() {
    let check = |text: &str, want: &str| check(DOUBLE, 1700, NONE, text, want);
    check("1.10", "1.1");
    check("100", "100.0");
    check("12345678901234567890", "1.2345678901234567E19");
    check("NaN", "\"NaN\"");
    check("-Infinity", "\"-Infinity\"");
    check(&"9".repeat(400), "is too large for a double");
}

#[test]
fn money_like_decimals() {
    let refused = "is not money as lc_monetary 'C' or 'en_US' prints it";
    for (text, want) in [
        ("$1,234.56", "\"1234.56\""),
        ("-$92,233,720,368,547,758.08", "\"-92233720368547758.08\""),
        ("($0.10)", "\"-0.10\""),
        ("0.00", "\"0.00\""),
        ("$1234.56", "\"1234.56\""),
        ("1.234,56 €", refused),
        ("¥1,234", refused),
        ("$12,34.56", refused),
        ("$1,234.567", refused),
        ("$,123.45", refused),
        ("$", refused),
    ] {
        check(DEFAULT, 790, NONE, text, want);
    }
    check(PRECISE, 790, NONE, "$1.10", "\"bg==\"");
    check(DOUBLE, 790, NONE, "-$1.10", "-1.1");
}

#[test]
fn bytes_and_bits() {
    let check = |oid, modifier, text: &str, want: &str| check(DEFAULT, oid, modifier, text, want);
    check(17, NONE, "\\x", "\"\"");
    check(17, NONE, "\\x00ff10", "\"AP8Q\"");
    check(17, NONE, "\\xFf", "\"/w==\"");
    check(17, NONE, &format!("\\x{}", "00".repeat(100)), &format!("\"{}==\"", "A".repeat(134)));
    check(17, NONE, "\\x0", "is not bytea in hex format");
    check(17, NONE, "\\x0g", "is not bytea in hex format");
    check(17, NONE, "abc", "is not bytea in hex format");
    check(1560, 1, "1", "true");
    check(1560, 1, "0", "false");
    check(1562, 1, "", "is not a bit string of its column's length");
    check(1560, 8, "00000001", "\"AQ==\"");
    check(1560, 16, "0000000100000010", "\"AgE=\"");
    check(1560, 3, "101", "\"BQ==\"");
    check(1560, 12, "100000000001", "\"AQg=\"");
    check(1560, 16, "0000000000000000", "\"\"");
    check(1562, NONE, "", "\"\"");
    check(1562, 800, &"1".repeat(800), &format!("\"{}/w==\"", "/".repeat(132)));
    check(1562, NONE, "012", "is not a bit string of its column's length");
}

#[test]
fn everything_else_is_its_text() {
    let same = |oid, text: &str| {
        for modes in [DEFAULT, PRECISE, DOUBLE, MICROSECONDS, ISO] {
            check(modes, oid, NONE, text, &serde_json::to_string(text).unwrap());
        }
    };
    same(25, "Größe 😀 \"quoted\" \\ /");
    same(1043, "");
    same(1042, "padded   ");
    same(19, "a_name");
    same(18, "x");
    same(2950, "0c5c0a3b-7c26-4b57-9a4e-1c6b9d1f0a11");
    same(114, "{\"a\": 1,\n \"a\": 2}");
    same(3802, "{\"a\": 1}");
    same(142, "<a b=\"c\"/>");
    same(869, "10.0.0.1");
    same(650, "10.0.0.0/8");
    same(829, "08:00:2b:01:02:03");
    same(774, "08:00:2b:01:02:03:04:05");
    same(3904, "[1,10)");
    same(3906, "(,1.5]");
    same(3910, "[\"2026-11-21 00:00:00+00\",)");
    same(3912, "empty");
    same(4451, "{[1,3),[5,7)}");
    same(3220, "0/16B3748");
    same(3614, "'a':1 'b':2");
    same(603, "(1,1),(0,0)");
    same(718, "<(0,0),1>");
    same(99_999, "an enum, a composite, an extension's type");
}

#[test]
fn points() {
    let wkb = "AQEAAAAAAAAAAADwPwAAAAAAAADA";
    check(DEFAULT, 600, NONE, "(1,-2)", &format!(r#"{{"x":1.0,"y":-2.0,"wkb":"{wkb}","srid":null}}"#));
    check(DEFAULT, 600, NONE, "(1)", "is not a point");
    check(DEFAULT, 600, NONE, "(a,b)", "is not a point");
}

#[test]
fn arrays_hold_their_elements_encoding() {
    check(DEFAULT, 1007, NONE, "{1,NULL,-3}", "[1,null,-3]");
    check(DEFAULT, 1016, NONE, "{{1,2},{3,4}}", "[[1,2],[3,4]]");
    check(DEFAULT, 1000, NONE, "{t,f}", "[true,false]");
    check(DEFAULT, 1009, NONE, r#"{a,"b c","d\"e",NULL,"NULL"}"#, r#"["a","b c","d\"e",null,"NULL"]"#);
    check(DEFAULT, 1022, NONE, "{1,NaN}", "[1.0,\"NaN\"]");
    check(DEFAULT, 1231, NUMERIC_10_2, "{1.10,NULL}", "[\"1.10\",null]");
    check(PRECISE, 1231, NUMERIC_10_2, "{1.10}", "[\"bg==\"]");
    check(PRECISE, 1231, NONE, "{1.10}", r#"[{"scale":1,"value":"Cw=="}]"#);
    check(DEFAULT, 1182, NONE, "{2026-11-21}", "[20778]");
    check(DEFAULT, 1115, 3, "{\"2026-11-21 12:00:00\"}", "[1795262400000]");
    check(DEFAULT, 1185, NONE, "{\"2026-11-21 12:00:00+00\"}", "[\"2026-11-21T12:00:00.000000Z\"]");
    check(DEFAULT, 1001, NONE, r#"{"\\x00ff"}"#, "[\"AP8=\"]");
    check(DEFAULT, 2951, NONE, "{}", "[]");
    check(DEFAULT, 3807, NONE, r#"{"{\"a\": 1}"}"#, r#"["{\"a\": 1}"]"#);
    check(DEFAULT, 1020, NONE, "{(1,1),(0,0);(2,2),(0,0)}", r#"["(1,1),(0,0)","(2,2),(0,0)"]"#);
    check(
        DEFAULT,
        1017,
        NONE,
        "{\"(0,0)\"}",
        r#"[{"x":0.0,"y":0.0,"wkb":"AQEAAAAAAAAAAAAAAAAAAAAAAAAA","srid":null}]"#,
    );
    check(DEFAULT, 1007, NONE, "{1,x}", "is not an integer");
    check(DEFAULT, 1182, NONE, "{infinity}", "is infinite");
    check(DEFAULT, 1007, NONE, "1", "is not an array");
}

#[test]
fn what_was_not_sent_has_a_placeholder() {
    let check = |oid, want: &str| {
        let mut out = Vec::new();
        let mut types = Types::default();
        types.learn(20_002, "public", "_mood");
        types.learn(20_003, "public", "hstore");
        Encoder::choose(oid, NONE, &DEFAULT, &types).put_unavailable::<Json>(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), want, "{oid}");
    };
    check(25, "\"__debezium_unavailable_value\"");
    check(1700, "\"__debezium_unavailable_value\"");
    check(17, "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"");
    check(1009, "[\"__debezium_unavailable_value\"]");
    check(1001, "[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]");
    let bytes =
        "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]";
    check(1007, bytes);
    check(1016, bytes);
    check(1182, bytes);
    check(2951, "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]");
    check(1562, "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"");
    check(20_003, r#""{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}""#);
    check(20_002, "[\"__debezium_unavailable_value\"]");
}

#[test]
fn fillers_are_zeros_by_type() {
    let check = |modes: Modes, oid, modifier, want: &str| {
        let mut out = Vec::new();
        Encoder::choose(oid, modifier, &modes, &Types::default()).put_filler::<Json>(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want, "{oid}");
    };
    check(DEFAULT, 16, NONE, "false");
    check(DEFAULT, 23, NONE, "0");
    check(DEFAULT, 701, NONE, "0.0");
    check(DEFAULT, 1700, NONE, "\"0\"");
    check(DEFAULT, 1700, NUMERIC_10_2, "\"0.00\"");
    check(PRECISE, 1700, NUMERIC_10_2, "\"AA==\"");
    check(PRECISE, 1700, NONE, r#"{"scale":0,"value":"AA=="}"#);
    check(DOUBLE, 1700, NONE, "0.0");
    check(DEFAULT, 790, NONE, "\"0.00\"");
    check(DEFAULT, 1082, NONE, "0");
    check(ISO, 1082, NONE, "\"1970-01-01Z\"");
    check(DEFAULT, 1083, NONE, "0");
    check(DEFAULT, 1114, NONE, "0");
    check(DEFAULT, 1184, NONE, "\"1970-01-01T00:00:00Z\"");
    check(DEFAULT, 1266, NONE, "\"00:00:00Z\"");
    check(DEFAULT, 1186, NONE, "0");
    check(DEFAULT, 17, NONE, "\"\"");
    check(DEFAULT, 1560, 1, "false");
    check(DEFAULT, 1560, 8, "\"\"");
    check(DEFAULT, 25, NONE, "\"\"");
    check(DEFAULT, 1009, NONE, "[]");
}

#[test]
fn a_type_whose_name_misleads_is_text() {
    let check = |oid, text: &str, want: &str| {
        let mut types = Types::default();
        types.learn(20_002, "public", "_pair");
        types.learn(20_003, "public", "hstore");
        let mut out = Vec::new();
        Encoder::choose(oid, NONE, &DEFAULT, &types).put::<Json>(text.as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), want);
    };
    check(20_002, "{sad,ok}", r#"["sad","ok"]"#);
    check(20_002, "(1,{a)", "\"(1,{a)\"");
    check(20_002, "{a,b", "\"{a,b\"");
    check(20_003, "(1,2)", "\"(1,2)\"");
}
