//! As much of JSON Schema (draft 7) as docs/asyncapi.yaml uses, and no more: a keyword that is not known here fails the test,
//! so that none is passed over.

use serde_json::Value;

/// Words for people.
const SILENT: &[&str] = &["title", "description", "examples", "default"];

/// What is wrong with `value` by `schema`; nothing if it fits. `root` is where references point into.
pub(super) fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let Some(keywords) = schema.as_object() else {
        return if schema == &Value::Bool(true) { Vec::new() } else { vec![format!("{at}: not allowed")] };
    };
    keywords.iter().flat_map(|(keyword, wanted)| keyword_faults(root, keywords, (keyword, wanted), value, at)).collect()
}

fn keyword_faults(
    root: &Value,
    all: &serde_json::Map<String, Value>,
    (keyword, wanted): (&str, &Value),
    value: &Value,
    at: &str,
) -> Vec<String> {
    let unless = |fits: bool| if fits { Vec::new() } else { vec![format!("{at}: not of {keyword} {wanted}: {value}")] };
    let list = || wanted.as_array().unwrap_or_else(|| panic!("{keyword} takes a list"));
    match keyword {
        "$ref" => {
            let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#')).expect("a local reference");
            faults(root, root.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")), value, at)
        }
        "type" => match wanted {
            Value::Array(types) => unless(types.iter().any(|wanted| is(wanted, value))),
            wanted => unless(is(wanted, value)),
        },
        "const" => unless(value == wanted),
        "enum" => unless(list().contains(value)),
        "pattern" => unless(value.as_str().is_none_or(|text| matches(wanted.as_str().unwrap_or_default(), text))),
        "minimum" => unless(value.as_f64().is_none_or(|number| Some(number) >= wanted.as_f64())),
        "oneOf" => unless(list().iter().filter(|schema| faults(root, schema, value, at).is_empty()).count() == 1),
        "anyOf" => unless(list().iter().any(|schema| faults(root, schema, value, at).is_empty())),
        "items" => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().flat_map(|item| faults(root, wanted, item, &format!("{at}[]"))).collect()
        }
        "required" => {
            let missing = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap_or_default()).is_none();
            list().iter().filter(missing).map(|name| format!("{at}: {name} is missing")).collect()
        }
        "properties" => {
            let known = wanted.as_object().expect("an object");
            let of = |(name, schema)| value.get(name).map(|value| faults(root, schema, value, &format!("{at}.{name}")));
            known.iter().filter_map(of).flatten().collect()
        }
        "additionalProperties" => {
            let known = all.get("properties");
            let more = value.as_object().into_iter().flatten();
            let more = more.filter(|(name, _)| known.is_none_or(|known| known.get(name.as_str()).is_none()));
            more.flat_map(|(name, value)| faults(root, wanted, value, &format!("{at}.{name}"))).collect()
        }
        other if SILENT.contains(&other) => Vec::new(),
        other => panic!("{at}: the keyword {other} is not known here"),
    }
}

fn is(wanted: &Value, value: &Value) -> bool {
    match wanted.as_str().expect("a name") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    }
}

/// The few patterns that the document uses.
fn matches(pattern: &str, text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
    };
    match pattern {
        "^[0-9]+$" => digits(text),
        "^[0-9]+:[0-9]+$" => text.split_once(':').is_some_and(|(a, b)| digits(a) && digits(b)),
        "^[0-9A-F]{16}[.][0-9A-F]{10}$" => text.split_once('.').is_some_and(|(lsn, op)| hex(lsn, 16) && hex(op, 10)),
        other => panic!("the pattern {other} is not known here"),
    }
}

#[test]
fn what_does_not_fit_is_found() {
    let root: Value = serde_json::from_str(
        r##"{"text": {"type": "string", "pattern": "^[0-9]+$"}, "s": {"type": ["object", "null"], "required": ["a"],
            "properties": {"a": {"$ref": "#/text"}, "b": {"items": {"enum": [1, 2]}}, "c": {"oneOf": [{"const": 1},
            {"type": "integer", "minimum": 1}]}}, "additionalProperties": false}}"##,
    )
    .unwrap();
    let check = |value: &str, want: usize| {
        let value: Value = serde_json::from_str(value).unwrap();
        let found = faults(&root, &root["s"], &value, "$");
        assert_eq!(found.len(), want, "{value}: {found:?}");
    };
    check("null", 0);
    check(r#"{"a":"7","b":[1,2],"c":2}"#, 0);
    check("7", 1);
    check("{}", 1);
    check(r#"{"a":7}"#, 1);
    check(r#"{"a":"x","b":[1,3],"c":1,"d":null}"#, 4);
}
