//! What Debezium has no word on: names, repeated records, and what has no form.

use super::{DEFAULT, DOUBLE_ISO, PRECISE, connector, hex, relation, schemas, types, value};
use crate::sinks::kafka::avro::{Avro, Schemas};
use crate::sinks::kafka::encode::{Encoder, Modes};

#[test]
fn a_record_is_defined_once_and_named_after() {
    let columns = [("a", 600, -1, false), ("b", 600, -1, false), ("c", 1700, -1, false), ("d", 1231, -1, false)];
    let value = schemas(&relation("t", &columns), &PRECISE).value;
    assert_eq!(value.matches(r#""name":"Point""#).count(), 1);
    assert!(value.contains(r#"{"name":"b","type":["null","io.debezium.data.geometry.Point"],"default":null}"#));
    assert_eq!(value.matches(r#""name":"VariableScaleDecimal""#).count(), 1);
    assert!(value.contains(r#"{"type":"array","items":["null","io.debezium.data.VariableScaleDecimal"]}"#));
}

#[test]
fn a_decimal_has_a_precision_that_its_scale_fits_into() {
    let check = |precision: i32, scale: i32, want: &str| {
        let modifier = (precision << 16 | (scale & 0x7FF)) + 4;
        let value = schemas(&relation("t", &[("c", 1700, modifier, false)]), &PRECISE).value;
        assert!(value.contains(want), "{value}");
    };
    check(10, 2, r#""scale":2,"precision":10,"#);
    check(3, 5, r#""scale":5,"precision":5,"#);
    check(5, -2, r#""scale":0,"precision":7,"#);
}

#[test]
fn columns_that_avro_cannot_tell_apart_are_refused() {
    let check = |columns: &[&str], want: Option<&str>| {
        let columns: Vec<(&str, u32, i32, bool)> = columns.iter().map(|name| (*name, 23, -1, false)).collect();
        let got = Schemas::of_table(&connector(), &relation("t", &columns), None, &DEFAULT, &types());
        assert_eq!(got.err().map(|error| error.to_string()).as_deref(), want);
    };
    check(&["a", "b", "_a"], None);
    check(&["a-b", "c", "a b"], Some(r#"columns "a-b" and "a b" of public.t are both called "a_b" in Avro"#));
    check(&["1", "_1"], Some(r#"columns "1" and "_1" of public.t are both called "_1" in Avro"#));
}

#[test]
fn what_was_not_sent_has_a_placeholder_where_the_schema_has_a_place() {
    let check = |modes: Modes, oid, want: Result<&str, &'static str>| {
        let mut out = Vec::new();
        let put = Encoder::choose(oid, -1, &modes, &types()).put_unavailable::<Avro>(&mut out);
        assert_eq!(put.map(|()| hex(&out)), want.map(str::to_owned), "{oid}");
    };
    const TEXT: &str = "385f5f646562657a69756d5f756e617661696c61626c655f76616c7565";
    let items = |item: &str| format!("0202{item}00");
    let numbers = "3802be0102be0102c80102ca0102c40102ca0102f40102d20102ea0102da0102be0102ea0102dc0102c20102ec0102c20102d20102d80102c20102c40102d80102ca0102be0102ec0102c20102d80102ea0102ca0100";
    let nothing = Err("was not sent, and has no form that could say so");
    check(DEFAULT, 25, Ok(TEXT));
    check(DEFAULT, 1700, Ok(TEXT));
    check(PRECISE, 1700, nothing);
    check(DOUBLE_ISO, 1700, nothing);
    check(DEFAULT, 17, Ok(TEXT));
    check(DEFAULT, 1009, Ok(&items(TEXT)));
    check(DEFAULT, 1001, Ok(&items(TEXT)));
    check(DEFAULT, 20_002, Ok(&items(TEXT)));
    check(DEFAULT, 1007, Ok(numbers));
    check(DEFAULT, 1182, Ok(numbers));
    check(DOUBLE_ISO, 1182, Ok(&items(TEXT)));
    check(DEFAULT, 1022, nothing);
    check(DEFAULT, 1115, nothing);
    check(DEFAULT, 2951, Ok(&items("4862363861333561372d313761642d333562332d616632612d616534366564623435343561")));
}

#[test]
fn a_type_whose_name_misleads_is_refused_unless_it_is_text_anyway() {
    assert_eq!(value(&DEFAULT, 20_003, -1, "(1,2)").unwrap(), format!("020a{}", hex(b"(1,2)")));
    assert_eq!(value(&DEFAULT, 20_002, -1, "(1,{a)"), Err("is not an array"));
    assert_eq!(value(&DEFAULT, 1700, -1, "NaN").unwrap(), format!("0206{}", hex(b"NAN")));
    assert_eq!(value(&DEFAULT, 20, -1, "9223372036854775808"), Err("is no integer of 64 bits"));
}
