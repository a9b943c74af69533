//! aether's events: the files run with psql leave the same rows as the Rust writer, repeats change nothing, and what was
//! written comes back as it was.

use std::sync::{Arc, Mutex};

use pgtape::engines::Store;
use pgtape::engines::aether::{Answer, Arb, Bundle, Inclusion, Metrics, Pool, Writer, arb_id};
use pgtape::engines::{Amount, Options};
use pgtape::sandbox::Database;
use serde_json::json;

use crate::common::engines::{address, engine_database, event, rows, store};

const TABLES: [&str; 4] = ["aether.arbs", "aether.bundles", "aether.inclusion_results", "aether.pool_registry"];

/// 2^256 - 1, the largest wei amount there is.
const HUGE: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

fn all_rows(database: &Database) -> Vec<String> {
    TABLES.iter().map(|table| rows(database, table, &[])).collect()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn arb() -> Arb {
    Arb {
        arb_id: arb_id("op-1"),
        ts: "2026-01-31T10:00:00.000001Z".parse().unwrap(),
        target_block: 19_000_000,
        path_hash: vec![0, 255],
        hops: 3,
        path: json!(["WETH", "USDC", "é\"'"]),
        protocols: json!([]),
        pool_addresses: json!(["0x01"]),
        flashloan_token: vec![1; 20],
        flashloan_amount: amount(HUGE),
        gross_profit_wei: amount("7"),
        net_profit_wei: amount("-3"),
        gas_estimate: 210_000,
        tip_bps: 9_000,
        detection_us: Some(350),
        sim_us: None,
        git_sha: None,
    }
}

fn bundle(builders: Option<Vec<String>>, target_block: i64) -> Bundle {
    Bundle {
        arb_id: arb_id("op-1"),
        submitted_at: "2026-01-31T10:00:01Z".parse().unwrap(),
        target_block,
        signed_tx_hex: "0x02f8".into(),
        gas_used: Some(180_000),
        gas_price_wei: Some(amount("30000000001")),
        is_shadow: false,
        builders,
        answers: vec![
            Answer { builder: "titan".into(), error: None },
            Answer { builder: "beaver".into(), error: Some("nonce too low".into()) },
        ],
    }
}

fn inclusion(target_block: i64, included: bool, at: &str) -> Inclusion {
    Inclusion {
        bundle_id: bundle(None, target_block).bundle_id(),
        builder: "titan".into(),
        included,
        included_block: included.then_some(19_000_000),
        landed_tx_hash: included.then(|| vec![0xAB; 32]),
        error: None,
        resolved_at: at.parse().unwrap(),
    }
}

fn pool(tier: &str, seen_at: &str) -> Pool {
    Pool {
        address: vec![7; 20],
        protocol: "univ3".into(),
        token0: vec![1],
        token1: vec![2],
        fee_bps: Some(30),
        tier: Some(tier.into()),
        seen_at: seen_at.parse().unwrap(),
        source: "factory".into(),
    }
}

#[tokio::test]
async fn the_files_leave_the_rows_of_the_writer() {
    let (by_hand, by_writer) = (engine_database("aether").await, engine_database("aether").await);
    let writer = Writer::new(store(&by_writer));
    writer.record_arb(&arb()).await.unwrap();
    writer.submit_bundle(&bundle(Some(vec!["titan".into(), "beaver".into()]), 19_000_000)).await.unwrap();
    writer.record_inclusion(&inclusion(19_000_000, true, "2026-02-01T00:00:00Z")).await.unwrap();
    writer.record_pool(&pool("a", "2026-01-31T00:00:00Z")).await.unwrap();

    let file = |name: &str, arguments: &[&str]| {
        let path = format!("engines/aether/events/{name}.sql");
        assert_eq!(event(&by_hand, &path, arguments), "t", "{name}");
        assert_eq!(event(&by_hand, &path, arguments), "f", "{name} a second time");
    };
    let arb_id = "aether.arb_id('op-1')";
    let bundle_id = &format!("aether.bundle_id({arb_id}, 19000000)");
    #[rustfmt::skip]
    file("arb", &[
        arb_id, "'2026-01-31 10:00:00.000001+00'", "19000000", r"'\x00ff'", "3", r#"'["WETH", "USDC", "é\"''"]'"#, "'[]'",
        r#"'["0x01"]'"#, r"decode(repeat('01', 20), 'hex')", HUGE, "7", "-3", "210000", "9000", "350", "NULL", "NULL",
    ]);
    #[rustfmt::skip]
    file("bundle", &[
        bundle_id, arb_id, "'2026-01-31 10:00:01+00'", "19000000", "'0x02f8'", "180000", "30000000001", "false",
        r#"'["titan", "beaver"]'"#, "ARRAY['titan', 'beaver']", "ARRAY[NULL, 'nonce too low']",
    ]);
    let landed = "decode(repeat('ab', 32), 'hex')";
    file("inclusion", &[bundle_id, "'titan'", "true", "19000000", landed, "NULL", "'2026-02-01 00:00:00+00'"]);
    let address = "decode(repeat('07', 20), 'hex')";
    let seen_at = "'2026-01-31 00:00:00+00'";
    file("pool", &[address, "'univ3'", r"'\x01'", r"'\x02'", "30", "'a'", seen_at, "'factory'"]);

    assert_eq!(all_rows(&by_hand), all_rows(&by_writer));
    assert!(all_rows(&by_hand).iter().all(|rows| !rows.is_empty()));
}

#[tokio::test]
async fn builders_come_back_as_they_were_null_and_empty_too() {
    let database = engine_database("aether").await;
    let writer = Writer::new(store(&database));
    let lists = [None, Some(vec![]), Some(vec!["titan".to_owned(), "b\"ü".to_owned()])];
    for (block, builders) in (1..).zip(lists) {
        writer.submit_bundle(&bundle(builders, block)).await.unwrap();
    }
    let text = database.psql("SELECT builders FROM aether.bundles ORDER BY target_block").unwrap();
    assert_eq!(text, "null\n[]\n[\"titan\", \"b\\\"ü\"]");
}

#[tokio::test]
async fn a_resubmission_changes_nothing_that_is_known() {
    let database = engine_database("aether").await;
    let writer = Writer::new(store(&database));
    let first = bundle(None, 5);
    assert!(writer.submit_bundle(&first).await.unwrap().applied);
    assert!(writer.record_inclusion(&inclusion(5, true, "2026-02-01T00:00:00Z")).await.unwrap().applied);
    let before = all_rows(&database);
    let mut again = bundle(Some(vec![]), 5);
    again.submitted_at = "2026-02-02T00:00:00Z".parse().unwrap();
    again.gas_price_wei = Some(amount("9"));
    assert!(!writer.submit_bundle(&again).await.unwrap().applied);
    assert_eq!(all_rows(&database), before);

    again.answers.push(Answer { builder: "late".into(), error: None });
    assert!(writer.submit_bundle(&again).await.unwrap().applied);
    assert_eq!(rows(&database, "aether.bundles", &[]), before[1]);
}

#[tokio::test]
async fn truth_replaces_what_is_known_and_a_repeat_keeps_the_first_time() {
    let database = engine_database("aether").await;
    let writer = Writer::new(store(&database));
    writer.submit_bundle(&bundle(None, 5)).await.unwrap();
    let known = || {
        let sql = "SELECT included, included_block, resolved_at AT TIME ZONE 'UTC' FROM aether.inclusion_results
                   WHERE builder = 'titan'";
        database.psql(sql).unwrap()
    };
    let steps = [
        (true, "2026-02-01T00:00:00Z", true, "t|19000000|2026-02-01 00:00:00"),
        (true, "2026-02-02T00:00:00Z", false, "t|19000000|2026-02-01 00:00:00"),
        (false, "2026-01-31T23:00:00Z", false, "t|19000000|2026-02-01 00:00:00"),
        (false, "2026-02-03T00:00:00Z", true, "f||2026-02-03 00:00:00"),
    ];
    for (included, at, applied, want) in steps {
        assert_eq!(writer.record_inclusion(&inclusion(5, included, at)).await.unwrap().applied, applied, "{at}");
        assert_eq!(known(), want, "{at}");
    }
}

#[tokio::test]
async fn sightings_of_a_pool_may_come_in_any_order() {
    let database = engine_database("aether").await;
    let writer = Writer::new(store(&database));
    let seen = [
        ("b", "2026-02-02T00:00:00Z", true),
        ("a", "2026-02-01T00:00:00Z", true),
        ("x", "2026-02-01T12:00:00Z", false),
    ];
    for (tier, at, applied) in seen {
        assert_eq!(writer.record_pool(&pool(tier, at)).await.unwrap().applied, applied, "{at}");
    }
    let sql = "SELECT tier, first_seen AT TIME ZONE 'UTC', last_seen AT TIME ZONE 'UTC' FROM aether.pool_registry";
    assert_eq!(database.psql(sql).unwrap(), "b|2026-02-01 00:00:00|2026-02-02 00:00:00");
}

#[tokio::test]
async fn the_dashboards_families_count_writes_on_both_sides_at_once() {
    let database = engine_database("aether").await;
    let registry = prometheus::Registry::new();
    let observed = Store::observed(address(&database.url()), Options::default(), Metrics::register(&registry).unwrap());
    let (engine, executor) = (Writer::new(observed.clone()), Writer::new(observed));
    let (arb, bundle) = (arb(), bundle(None, 19_000_000));
    let both = tokio::join!(engine.record_arb(&arb), executor.submit_bundle(&bundle));
    assert!(both.0.unwrap().applied && both.1.unwrap().applied);
    assert!(!engine.record_arb(&arb).await.unwrap().applied);
    let mut refused = inclusion(1, true, "2026-02-01T00:00:00Z");
    refused.builder = "\0".into();
    executor.record_inclusion(&refused).await.unwrap_err();

    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        r#"aether_ledger_writes_total{op="arb",result="applied"} 1"#,
        r#"aether_ledger_writes_total{op="arb",result="repeated"} 1"#,
        r#"aether_ledger_writes_total{op="bundle",result="applied"} 1"#,
        r#"aether_ledger_writes_total{op="inclusion",result="rejected"} 1"#,
        r#"aether_ledger_drops_total{op="arb"} 0"#,
        "aether_ledger_queue_depth 0",
        r#"aether_ledger_write_latency_ms_count{op="arb"} 2"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn the_submission_says_arb_and_bundle_in_the_log() {
    let database = engine_database("aether").await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::fmt().json().with_writer(Lines(Arc::clone(&log))).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bundle = bundle(None, 5);
    Writer::new(store(&database)).submit_bundle(&bundle).await.unwrap();
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains("bundle submitted")).unwrap_or_else(|| panic!("{log}"));
    let fields = &serde_json::from_str::<serde_json::Value>(line).unwrap()["fields"];
    assert_eq!(fields["arb_id"], bundle.arb_id.to_string());
    assert_eq!(fields["bundle_id"], bundle.bundle_id().to_string());
}

/// A log that is kept.
struct Lines(Arc<Mutex<Vec<u8>>>);

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Lines {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line(Arc::clone(&self.0))
    }
}

struct Line(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
