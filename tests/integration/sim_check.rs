//! The final proof can fail: lost, altered, doubled and half-done rows are found, in Postgres and in a snapshot.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;

use pgtape::engines::Name;
use pgtape::model::Lsn;
use pgtape::sandbox::Database;
use pgtape::sim::check::{self, InFlightEnd, Rule, Wrong};
use pgtape::sim::record::{self, Clock, Record, State};
use pgtape::sim::{self, Effect, Error, SimSettings, image, text};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::common::engines::{address, engine_database};

const CLOCK: Clock = Clock { start_us: 1_769_853_600_000_000, tick_us: 1_000 };

fn settings(url: &str, events: u64, record_dir: &Path, standby_url: Option<String>) -> SimSettings {
    SimSettings {
        address: address(url),
        engines: vec![Name::Perplex],
        rate: 10_000,
        seconds: 0,
        events_max: Some(events),
        seed: 3,
        start_us: CLOCK.start_us,
        record_dir: record_dir.to_owned(),
        standby_url,
    }
}

async fn simulated(events: u64) -> (Database, TempDir) {
    let (database, dir) = (engine_database("perplex").await, TempDir::new().unwrap());
    sim::run(settings(&database.url(), events, dir.path(), None), CancellationToken::new()).await.unwrap();
    (database, dir)
}

async fn findings(database: &Database, records: &[State]) -> Vec<(String, Wrong)> {
    let report = check::against_postgres(&address(&database.url()), records, Rule::Exclusive).await.unwrap();
    assert_eq!(report.findings_total, report.findings.len() as u64);
    report.findings.into_iter().map(|finding| (finding.table, finding.wrong)).collect()
}

/// The records' rows as `/v1/snapshot` would send them.
fn snapshot(records: &[State], change: impl Fn(&mut Vec<String>)) -> String {
    let rows = records.iter().flat_map(|record| record.images());
    let mut lines: Vec<String> = rows
        .filter_map(|(key, image)| Some(serde_json::json!({"table": key.table, "row": image?}).to_string()))
        .collect();
    change(&mut lines);
    let head = r#"{"position":"0000000000000001.FFFFFFFFFF","epoch":1,"tables":[]}"#;
    format!("{head}\n{}\n{{\"end\":true,\"rows\":{}}}\n", lines.join("\n"), lines.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_an_altered_and_an_extra_row_are_found() {
    let (database, dir) = simulated(120).await;
    let records = record::read_all(dir.path()).unwrap();
    assert_eq!(findings(&database, &records).await, []);

    database.psql("DELETE FROM perplex.fills WHERE id = (SELECT min(id) FROM perplex.fills)").unwrap();
    assert_eq!(findings(&database, &records).await, [("perplex.fills".to_owned(), Wrong::Missing)]);
    let first = "(SELECT min(seq) FROM perplex.public_trades)";
    database.psql(&format!("UPDATE perplex.public_trades SET qty = '9' WHERE seq = {first}")).unwrap();
    let found = findings(&database, &records).await;
    let altered = found.iter().any(|(table, wrong)| {
        let column = match wrong {
            Wrong::Differs { column, found, .. } => (column.as_str(), found.as_deref()),
            Wrong::Missing | Wrong::Unexpected | Wrong::Doubled | Wrong::Torn => return false,
        };
        table == "perplex.public_trades" && column == ("qty", Some("9"))
    });
    assert!(altered && found.len() == 2, "{found:?}");
    database.psql("INSERT INTO perplex.vault_balances VALUES ('0xsomebody', '1')").unwrap();
    assert_eq!(findings(&database, &records).await.len(), 3);
    let shared = check::against_postgres(&address(&database.url()), &records, Rule::Shared).await.unwrap();
    assert_eq!(shared.findings_total, 2, "rows of others are no matter where others may write");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_held_against_the_record_like_postgres() {
    let (_database, dir) = simulated(120).await;
    let records = record::read_all(dir.path()).unwrap();
    let check = |snapshot: &str| check::against_snapshot(snapshot.as_bytes(), &records, Rule::Exclusive);
    let whole = snapshot(&records, |_| {});
    assert!(check(&whole).unwrap().ok());
    let lost = check(&snapshot(&records, |lines| drop(lines.pop()))).unwrap();
    assert_eq!((lost.findings_total, &lost.findings[0].wrong), (1, &Wrong::Missing));
    let doubled = check(&snapshot(&records, |lines| lines.push(lines[0].clone()))).unwrap();
    assert_eq!((doubled.findings_total, &doubled.findings[0].wrong), (1, &Wrong::Doubled));
    let cut = &whole[..whole.len() / 2];
    assert!(check(cut).is_err(), "half a snapshot proves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_in_flight_is_wholly_in_or_wholly_out() {
    let (database, dir) = (engine_database("perplex").await, TempDir::new().unwrap());
    let balance = |address: &str, amount: &str| {
        let row = image([("address", text(address)), ("amount", text(amount))]);
        Effect::row("perplex.vault_balances", &["address"], row)
    };
    let mut record = Record::open(dir.path(), "perplex", 1, CLOCK).unwrap();
    record.begin(&"first", vec![balance("a", "1")]).unwrap();
    record.acknowledge(Lsn(1)).unwrap();
    record.begin(&"second", vec![balance("a", "2"), balance("b", "1")]).unwrap();
    drop(record);
    let records = record::read_all(dir.path()).unwrap();
    let mut seen = Vec::new();
    for (rows, wrong) in [
        ("('a', '1')", None),
        ("('a', '2'), ('b', '1')", None),
        ("('a', '2')", Some(Wrong::Torn)),
        ("('a', '1'), ('b', '1')", Some(Wrong::Torn)),
        ("('b', '1')", Some(Wrong::Missing)),
    ] {
        database
            .psql(&format!("TRUNCATE perplex.vault_balances; INSERT INTO perplex.vault_balances VALUES {rows}"))
            .unwrap();
        let address = address(&database.url());
        let report = check::against_postgres(&address, &records, Rule::Exclusive).await.unwrap();
        assert_eq!(report.ok(), wrong.is_none(), "{rows}: {:?}", report.findings);
        assert!(wrong.is_none_or(|wrong| report.findings.iter().any(|finding| finding.wrong == wrong)), "{rows}");
        seen.push(report.actors["perplex"].in_flight);
    }
    use InFlightEnd::{In, Out, Torn};
    assert_eq!(seen, [Out, In, Torn, Torn, Torn]);
}

/// Answers one request with `body`; gives back the request's path.
fn serve_once(body: String) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        tell.send(lines.next().unwrap()).unwrap();
        lines.find(String::is_empty);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
    });
    (url, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarting_engine_takes_its_state_from_the_standby_at_its_last_commit() {
    let (database, dir) = simulated(100).await;
    let records = record::read_all(dir.path()).unwrap();
    let (url, told) = serve_once(snapshot(&records, |_| {}));
    sim::run(settings(&database.url(), 200, dir.path(), Some(url)), CancellationToken::new()).await.unwrap();
    let request = told.recv().unwrap();
    let min_lsn = records[0].lsn.to_string().replace('/', "%2F");
    assert!(request.starts_with("GET /v1/snapshot?tables=perplex.open_orders"), "{request}");
    assert!(request.contains(&format!("min_lsn={min_lsn}")), "{request} has no {min_lsn}");
    assert_eq!(findings(&database, &record::read_all(dir.path()).unwrap()).await, []);
    // The same rows as an engine that was never stopped.
    let (whole, whole_dir) = simulated(200).await;
    assert_eq!(findings(&whole, &record::read_all(dir.path()).unwrap()).await, []);
    assert_eq!(record::read_all(whole_dir.path()).unwrap()[0].acknowledged, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_does_not_start_from_a_standby_that_lost_a_row() {
    let (database, dir) = simulated(100).await;
    let records = record::read_all(dir.path()).unwrap();
    let lost = snapshot(&records, |lines| lines.retain(|line| !line.contains("vault_balances")));
    let (url, _told) = serve_once(lost);
    let error = sim::run(settings(&database.url(), 200, dir.path(), Some(url)), CancellationToken::new()).await;
    assert!(matches!(error, Err(Error::Standby { .. })), "{error:?}");
}
