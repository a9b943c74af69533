//! docs/API.md names every key of every answer, and no other.

use std::collections::BTreeSet;

use super::*;

const DOCUMENT: &str = include_str!("../../../docs/API.md");

/// The keys of the tables in the section that starts with `heading`, up to the next of `##`; only those of table
/// number `nth`, when it is said.
fn documented(heading: &str, nth: Option<usize>) -> BTreeSet<String> {
    let section = DOCUMENT.split("\n## ").find(|s| s.starts_with(heading)).unwrap_or_else(|| panic!("no {heading}"));
    let tables: Vec<&str> = section.split("| key | meaning |").skip(1).collect();
    let wanted = |i: &usize| nth.is_none_or(|n| n == *i);
    let lines = (0..tables.len()).filter(wanted).flat_map(|i| tables[i].lines());
    lines.filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())).collect()
}

/// The keys of a value as the document writes them; `open` names objects whose keys are columns.
fn keys(value: &Value, path: &str, open: &[&str], into: &mut BTreeSet<String>) {
    match value {
        Value::Object(_) if open.contains(&path) => drop(into.insert(format!("{path}.*"))),
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                keys(value, &path, open, into);
            }
        }
        Value::Array(items) => {
            assert!(!items.is_empty(), "{path} shows nothing");
            items.iter().for_each(|item| keys(item, &format!("{path}[]"), open, into));
        }
        _ => drop(into.insert(path.to_owned())),
    }
}

fn check(heading: &str, nth: Option<usize>, answers: &[Value], open: &[&str]) {
    let mut found = BTreeSet::new();
    answers.iter().for_each(|answer| keys(answer, "", open, &mut found));
    let found: BTreeSet<String> = found.into_iter().map(|key| shortened(&key)).collect();
    assert_eq!(found, documented(heading, nth), "{heading}");
}

/// Levels are arrays in arrays, and the key of a row that differs has the table's columns: the document stops there.
fn shortened(key: &str) -> String {
    match key {
        "bids[][]" => "bids[]".into(),
        "asks[][]" => "asks[]".into(),
        key => key.replace("differences[].key.*", "differences[].key"),
    }
}

#[tokio::test]
async fn every_key_of_every_answer_is_documented_and_no_other() {
    let (_filler, server) = shop().await;
    for (heading, path) in [("GET /livez", "/livez"), ("GET /readyz", "/readyz"), ("GET /v1/status", "/v1/status")] {
        check(heading, None, &[server.get(path).await.json()], &[]);
    }
    let rows = server.get("/v1/tables/shop.orders/rows").await.json();
    check("GET /v1/tables", None, &[rows], &["rows[]"]);
    let book = server.get("/v1/books/shop/A%2FB").await.json();
    check("GET /v1/books", None, &[book], &[]);
    let report = server.ask("POST", "/v1/verify").await.json();
    check("POST /v1/verify", None, &[report], &["tables[].differences[].key"]);
    let error = server.get("/nowhere").await.json();
    check("Errors", None, &[error], &[]);

    let snapshot = server.get("/v1/snapshot").await;
    let lines: Vec<Value> = snapshot.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, rest) = lines.split_first().unwrap();
    let (last, rows) = rest.split_last().unwrap();
    check("GET /v1/snapshot", Some(0), std::slice::from_ref(first), &[]);
    check("GET /v1/snapshot", Some(1), rows, &["row"]);
    check("GET /v1/snapshot", Some(2), std::slice::from_ref(last), &[]);
}

#[test]
fn every_code_of_an_error_is_documented() {
    let kinds = [Kind::Finding, Kind::Usage, Kind::Unreachable, Kind::Server, Kind::Slot, Kind::Tape, Kind::Disk];
    let codes = [
        Code::BadRequest,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::UnknownTable,
        Code::UnknownColumn,
        Code::NotIndexed,
        Code::UnknownBook,
        Code::StandbyOff,
        Code::NotReady,
        Code::PositionNotReached,
        Code::Busy,
        Code::Timeout,
        Code::Refused(Kind::Locked),
        Code::Refused(Kind::NotConfirmed),
    ];
    for code in codes.into_iter().chain(kinds.map(Code::Refused)) {
        assert!(DOCUMENT.contains(&format!("`{}`", code.name())), "{} is not documented", code.name());
    }
}
