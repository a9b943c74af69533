//! What is answered to what.

use super::*;

#[tokio::test]
async fn rows_come_in_pages_each_once_with_exact_values() {
    let (_filler, server) = shop().await;
    let mut ids = Vec::new();
    let mut next = String::new();
    loop {
        let page = server.get(&format!("/v1/tables/shop.orders/rows?limit=2{next}")).await.json();
        assert_eq!((&page["position"], &page["table"]), (&json!(Position::whole(Lsn(0x10))), &json!("shop.orders")));
        ids.extend(page["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(token) => next = format!("&next={token}"),
            None => break,
        }
    }
    ids.sort();
    assert_eq!(ids, ["1", "2", "3", "4", "5"]);

    let log = server.get("/v1/tables/shop.log%20of%20all/rows").await.json();
    let mut lines: Vec<String> = log["rows"].as_array().unwrap().iter().map(|row| row["line"].to_string()).collect();
    lines.sort();
    assert_eq!(lines, [r#""\"quoted\" \\ Ü\n""#, r#""same""#, r#""same""#, "null"]);
}

#[tokio::test]
async fn rows_are_found_by_key_and_by_index() {
    let (_filler, server) = shop().await;
    let find = async |query: &str| {
        let answer = server.get(&format!("/v1/tables/shop.orders/rows?{query}")).await;
        if answer.status != 200 {
            return answer.code();
        }
        let rows = answer.json()["rows"].as_array().unwrap().clone();
        let mut ids: Vec<String> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(find("id=3").await, "3");
    assert_eq!(find("id=99").await, "");
    assert_eq!(find("market=A/B").await, "1 2 3 4");
    assert_eq!(find("market=A%2FB&side=sell").await, "4");
    assert_eq!(find("eq.id=3&market=C/D").await, "");
    assert_eq!(find("side=sell").await, "not_indexed");
    assert_eq!(find("colour=red").await, "unknown_column");
    let hint = async |path: &str| server.get(path).await.json()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint("/v1/tables/shop.orders/rows?side=sell").await.starts_with("give all of one of: id | market"));
    let keyless = hint("/v1/tables/shop.log%20of%20all/rows?line=x").await;
    assert!(keyless.starts_with("the table has no key and no index: add an index"), "{keyless}");
    for path in ["/v1/tables/%ff/rows", "/v1/books/shop/%C3", "/%ff"] {
        assert_eq!(server.get(path).await.code(), "bad_request", "{path}");
    }
    assert_eq!(find("limit=0").await, "bad_request");
    assert_eq!(find("next=nonsense").await, "bad_request");

    // By index in pages, too.
    let first = server.get("/v1/tables/shop.orders/rows?market=A/B&limit=3").await.json();
    let token = first["next"].as_str().unwrap();
    let rest = server.get(&format!("/v1/tables/shop.orders/rows?market=A/B&limit=3&next={token}")).await.json();
    assert_eq!((first["rows"].as_array().unwrap().len(), rest["rows"].as_array().unwrap().len()), (3, 1));
    assert_eq!(rest["next"], Value::Null);
}

#[tokio::test]
async fn a_snapshot_is_many_tables_at_one_position() {
    let (mut filler, server) = shop().await;
    let more = filler.insert("shop.orders", &[Some("6"), Some("E"), Some("buy"), Some("1"), Some("1")]);
    filler.unit(tape::Kind::Stream, &[more]);
    let lines = async |query: &str| {
        let answer = server.get(&format!("/v1/snapshot{query}")).await;
        assert_eq!(answer.position, Position::whole(Lsn(0x20)).to_string());
        answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let all = lines("").await;
    let position = Position::whole(Lsn(0x20));
    assert_eq!(all[0], json!({"position": position, "epoch": 1, "tables": ["shop.log of all", "shop.orders"]}));
    assert_eq!(all.last().unwrap(), &json!({"end": true, "rows": 10}));
    assert_eq!(all.len(), 12);
    assert_eq!(lines("?tables=shop.orders").await.len(), 8);
    assert_eq!(lines("?tables=shop.ord*,shop.log%20of%20all").await.len(), 12);
    assert_eq!(server.get("/v1/snapshot?tables=shop.ord*,shop.gone").await.code(), "unknown_table");
    assert_eq!(server.get("/v1/snapshot?table=shop.orders").await.code(), "bad_request");
}

#[tokio::test]
async fn books_show_levels_best_first() {
    let (_filler, server) = shop().await;
    let book = async |path: &str| server.get(&format!("/v1/books/{path}")).await.json();
    let want = json!({"lastUpdateId": 0x10, "bids": [["10.0", "1.5", 2], ["9.50", "2", 1]], "asks": [["11", "7", 1]]});
    assert_eq!(book("shop/A%2FB").await, want);
    assert_eq!(book("shop/A%2FB?level=2&limit=1").await["bids"], json!([["10.0", "1.5", 2]]));
    let top = json!({"lastUpdateId": 0x10, "bids": [["10.0", "1.5"]], "asks": [["11", "7"]]});
    assert_eq!(book("shop/A%2FB?level=1").await, top);
    assert_eq!(book("shop/nothing").await, json!({"lastUpdateId": 0x10, "bids": [], "asks": []}));
    assert_eq!(server.get("/v1/books/kiosk/A").await.code(), "unknown_book");
    assert_eq!(server.get("/v1/books/shop/A?level=3").await.code(), "bad_request");
}

#[tokio::test]
async fn a_read_waits_for_the_position_it_asks_for() {
    let (mut filler, server) = shop().await;
    let late = server.get("/v1/tables/shop.orders/rows?min_lsn=0/20&wait_ms=1").await;
    assert_eq!((late.status, late.code().as_str()), (504, "position_not_reached"));
    assert_eq!(late.json()["error"]["position"], json!(Position::whole(Lsn(0x10))));
    assert_eq!(*server.nudged.lock().unwrap(), [Lsn(0x20)], "an idle source is asked to move");
    let (answer, ()) = tokio::join!(server.get("/v1/tables/shop.orders/rows?min_lsn=0/20&wait_ms=60000"), async {
        let row = filler.insert("shop.orders", &[Some("6"), Some("E"), Some("buy"), Some("1"), Some("1")]);
        filler.unit(tape::Kind::Stream, &[row]);
    });
    assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 6);
    assert_eq!(answer.position, Position::whole(Lsn(0x20)).to_string());
}

#[tokio::test]
async fn every_answer_says_where_it_is_true() {
    let (_filler, server) = shop().await;
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/v1/status",
        "/v1/snapshot",
        "/v1/tables/shop.orders/rows",
        "/v1/tables/shop.gone/rows",
        "/v1/books/shop/x",
        "/nowhere",
        "/v1/verify",
    ] {
        assert_eq!(server.get(path).await.position, Position::whole(Lsn(0x10)).to_string(), "{path}");
    }
    assert_eq!(server.get("/v1/verify").await.code(), "method_not_allowed");
    assert_eq!(server.get("/metrics").await.text, "pgtape_ready 1\n");
}

#[tokio::test]
async fn before_the_first_copy_reads_are_refused_and_readiness_says_why() {
    let (_filler, reader) = Filler::new();
    let copying = Status { ready: false, reason: Some("the first copy is running".into()), ..status() };
    let refusal = Refusal::new(Kind::Locked, "another one is running", "wait for it");
    let server = Server::start(Some(reader), copying.clone(), Err(refusal)).await;
    for path in ["/readyz", "/v1/snapshot", "/v1/tables/shop.orders/rows", "/v1/books/shop/x"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.code().as_str(), answer.retry_after), (503, "not_ready", true), "{path}");
    }
    assert!(server.get("/readyz").await.text.contains("the first copy is running"));
    assert_eq!(server.get("/livez").await.status, 200);
    let verify = server.ask("POST", "/v1/verify").await;
    assert_eq!((verify.status, verify.code().as_str()), (409, "locked"));

    let without = Server::start(None, copying, Ok(Value::Null)).await;
    assert_eq!(without.get("/v1/snapshot").await.code(), "standby_off");
    assert_eq!(without.get("/v1/status").await.position, Position::whole(Lsn(0x10)).to_string());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_answered_twice_and_stops_nobody() {
    let (mut filler, server) = shop().await;
    let big = "x".repeat(1 << 20);
    let mut messages = filler.table("shop.big", &["id", "text"]);
    // More than both ends' socket buffers take.
    for i in 0..64 {
        messages.push(filler.insert("shop.big", &[Some(&i.to_string()), Some(&big)]));
    }
    filler.unit(tape::Kind::Stream, &messages);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let mut idle = tokio::net::TcpStream::connect(&address).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    idle.write_all(b"GET /v1/snapshot?tables=shop.big HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 16]).await.unwrap();
    let second = server.get("/v1/snapshot?tables=shop.log%20of%20all").await;
    assert_eq!((second.status, second.code().as_str(), second.retry_after), (503, "busy", true));
    assert_eq!(server.get("/v1/tables/shop.orders/rows").await.status, 200, "others are answered");

    // Told to stop, the service cuts the answer, so that it has no last line.
    server.stop.cancel();
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains(r#""end":true"#));
}
