//! Migrations: the migrator, partitions, roles, and ids made in SQL.

use std::process::Command;

use pgtape::engines::migrate::{self, Action, Error, Outcome};
use pgtape::model::{Pattern, TableName};
use pgtape::refusal::Kind;
use pgtape::sandbox::{Database, PrivatePostgres, finish};
use pgtape::source::{Settings, prepare};
use uuid::Uuid;

use crate::common::engines::{address, migrate};
use crate::common::{database, server, url_as};

/// Everything of the schema: what is there, how it is made, who may use it, what is published.
fn schema(database: &Database) -> String {
    let ours = "IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')";
    let sql = format!(
        "SELECT line FROM (
           SELECT format('schema %s %s', nspname, nspacl) AS line FROM pg_namespace WHERE oid {ours}
           UNION ALL SELECT format('relation %s %s %s %s %s %s', oid::regclass, relkind, relreplident, relacl,
                                   pg_get_expr(relpartbound, oid), CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END)
             FROM pg_class WHERE relnamespace {ours}
           UNION ALL SELECT format('column %s.%s %s %s %s', c.oid::regclass, attname, format_type(atttypid, atttypmod),
                                   attnotnull, pg_get_expr(adbin, adrelid))
             FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
             LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
             WHERE relnamespace {ours} AND attnum > 0 AND NOT attisdropped
           UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
             FROM pg_constraint WHERE connamespace {ours}
           UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
             WHERE relnamespace {ours}
           UNION ALL SELECT format('%s %s', pg_get_functiondef(oid), proacl) FROM pg_proc WHERE pronamespace {ours}
           UNION ALL SELECT format('published %s %s', pubname, tablename) FROM pg_publication_tables
           UNION ALL SELECT format('publication %s %s', pubname, pubviaroot) FROM pg_publication
         ) l ORDER BY line COLLATE \"C\""
    );
    database.psql(&sql).unwrap()
}

async fn refusal(database: &Database, action: Action, only: Option<&str>) -> pgtape::refusal::Refusal {
    match migrate::run(&address(&database.url()), action, only).await {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn applying_twice_changes_nothing_and_down_then_up_restores() {
    let database = database();
    let empty = schema(&database);
    assert!(migrate(&database.url(), Action::Status, None).await.lines.iter().all(|l| l.outcome == Outcome::Pending));
    assert!(migrate(&database.url(), Action::Up, None).await.lines.iter().all(|l| l.outcome == Outcome::Applied));
    let full = schema(&database);
    assert!(!migrate(&database.url(), Action::Up, None).await.changed());
    assert_eq!(schema(&database), full);
    assert!(migrate(&database.url(), Action::Status, None).await.lines.iter().all(|l| l.outcome == Outcome::InPlace));

    assert!(migrate(&database.url(), Action::Down, None).await.lines.iter().all(|l| l.outcome == Outcome::Reverted));
    assert_eq!(schema(&database), empty);
    assert!(!migrate(&database.url(), Action::Down, None).await.changed());
    migrate(&database.url(), Action::Up, None).await;
    assert_eq!(schema(&database), full);
}

#[tokio::test]
async fn every_file_may_be_run_twice_by_hand() {
    let database = database();
    migrate(&database.url(), Action::Up, None).await;
    let full = schema(&database);
    for line in &migrate(&database.url(), Action::Status, None).await.lines {
        let folder = if ["pgtape", "ledger"].contains(&line.unit) { "" } else { "engines/" };
        let path = format!("{folder}{}/{:04}_{}.up.sql", line.unit, line.version, line.name);
        database.psql(&crate::common::engines::sql(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    assert_eq!(schema(&database), full);
}

#[tokio::test]
async fn one_engine_comes_and_goes_alone() {
    let database = database();
    let view = "SELECT count(*) FROM ledger.pnl_daily";
    let report = migrate(&database.url(), Action::Up, Some("aether")).await;
    assert!(report.lines.iter().any(|line| line.unit == "ledger" && line.outcome == Outcome::Applied));
    assert!(report.lines.iter().all(|line| line.unit != "worker"));
    database.psql("INSERT INTO aether.pnl_daily (day, contributions) VALUES ('2026-01-31', 1)").unwrap();
    assert_eq!(database.psql(view).unwrap(), "1");

    let refused = refusal(&database, Action::Down, Some("ledger")).await;
    assert_eq!((refused.kind, refused.what.contains("aether")), (Kind::Usage, true), "{refused}");
    migrate(&database.url(), Action::Down, Some("aether")).await;
    assert_eq!(database.psql(view).unwrap(), "0");
    let published = "SELECT tablename FROM pg_publication_tables WHERE pubname = 'pgtape'";
    assert_eq!(database.psql(published).unwrap(), "heartbeat");
    assert_eq!(refusal(&database, Action::Up, Some("ether")).await.kind, Kind::Usage);
}

#[tokio::test]
async fn a_file_that_changed_after_it_was_applied_is_refused() {
    let database = database();
    migrate(&database.url(), Action::Up, Some("aether")).await;
    database.psql("UPDATE pgtape.migration SET checksum = 'x' WHERE unit = 'aether' AND version = 1").unwrap();
    for action in [Action::Up, Action::Down, Action::Status] {
        let refused = refusal(&database, action, None).await;
        assert_eq!(refused.kind, Kind::Server);
        assert!(refused.what.contains("engines/aether/0001_tables.up.sql"), "{refused}");
    }
    assert_eq!(database.psql("SELECT to_regclass('worker.orders') IS NULL").unwrap(), "t");
    database.psql("UPDATE pgtape.migration SET unit = 'later', version = 9 WHERE checksum = 'x'").unwrap();
    assert!(refusal(&database, Action::Up, None).await.what.contains("later/0009"));
}

#[tokio::test]
async fn positions_of_an_older_schema_are_refused_with_what_to_run() {
    let database = database();
    migrate(&database.url(), Action::Up, None).await;
    let later = "ALTER TABLE pgtape.sink_position DROP COLUMN target; DELETE FROM pgtape.migration WHERE unit = 'pgtape' AND version = 5";
    database.psql(later).unwrap();
    let session = pgtape::pg::connect(&address(&database.url()), pgtape::pg::Purpose::Control).await.unwrap();
    let read = async || pgtape::sinks::cursor::read(&*session, "worker.pnl_daily").await;
    let refusal = read().await.unwrap_err().into_refusal("read");
    assert!(refusal.kind == Kind::Server && refusal.hint.contains("migrate up"), "{refusal}");
    migrate(&database.url(), Action::Up, None).await;
    assert_eq!(read().await.unwrap(), None);
}

#[tokio::test]
async fn two_migrators_at_once_apply_everything_once() {
    let database = database();
    let address = address(&database.url());
    let (one, other) = tokio::join!(migrate::run(&address, Action::Up, None), migrate::run(&address, Action::Up, None));
    let (one, other) = (one.unwrap(), other.unwrap());
    for (a, b) in one.lines.iter().zip(&other.lines) {
        let mut outcomes = [&a.outcome, &b.outcome];
        outcomes.sort_by_key(|outcome| **outcome == Outcome::InPlace);
        assert_eq!(outcomes, [&Outcome::Applied, &Outcome::InPlace], "{a:?} {b:?}");
    }
}

#[tokio::test]
async fn databases_of_one_cluster_make_their_roles_at_the_same_moment() {
    let server = server(&[]);
    let urls: Vec<String> = (0..4).map(|i| server.url_for(&format!("db{i}"))).collect();
    for i in 0..urls.len() {
        server.psql(&format!("CREATE DATABASE db{i}")).unwrap();
    }
    let addresses: Vec<_> = urls.iter().map(|url| address(url)).collect();
    let runs = addresses.iter().map(|address| migrate::run(address, Action::Up, None));
    for report in futures_util::future::join_all(runs).await {
        assert!(report.unwrap().lines.iter().all(|line| line.outcome == Outcome::Applied));
    }
}

#[tokio::test]
async fn every_leaf_has_the_replica_identity_of_its_root() {
    let database = database();
    migrate(&database.url(), Action::Up, Some("worker")).await;
    let other = "SELECT c.oid::regclass FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
                 JOIN pg_class p ON p.oid = i.inhparent
                 WHERE c.relkind = 'r' AND c.relreplident <> p.relreplident";
    assert_eq!(database.psql(other).unwrap(), "");
    let leaves = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'worker.audit_log'::regclass";
    assert_eq!(database.psql(leaves).unwrap(), "14");
}

/// Kinds of row changes that a slot of the default publication has seen since the last call.
fn changes(database: &Database) -> String {
    let slot = database.name();
    let sql = format!(
        "SELECT string_agg(chr(get_byte(data, 0)), '') FROM pg_logical_slot_get_binary_changes(
             '{slot}', NULL, NULL, 'proto_version', '1', 'publication_names', 'pgtape')
         WHERE chr(get_byte(data, 0)) IN ('I', 'U', 'D')"
    );
    database.psql(&sql).unwrap()
}

#[tokio::test]
async fn partitions_come_and_go_within_the_stream() {
    let database = database();
    migrate(&database.url(), Action::Up, Some("worker")).await;
    let slot = database.name();
    database.psql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")).unwrap();
    let insert = "INSERT INTO worker.audit_log (event_type, event_data, created_at) VALUES ('ERROR', '{}', ";
    for at in ["2001-02-28 23:59:59.999999+00", "2001-03-01 00:00:00+00"] {
        database.psql(&format!("{insert}'{at}')")).unwrap();
    }
    assert_eq!(database.psql("SELECT count(*) FROM worker.audit_log_default").unwrap(), "2");
    assert_eq!(changes(&database), "II");

    database
        .psql("SET timezone = 'Asia/Tokyo'; SELECT pgtape.add_partition('worker.audit_log', '2001-02-10')")
        .unwrap();
    database.psql("SELECT pgtape.add_partition('worker.audit_log', '2001-02-28')").unwrap();
    let count = |leaf: &str| database.psql(&format!("SELECT count(*) FROM worker.{leaf}")).unwrap();
    assert_eq!((count("audit_log_2001_02"), count("audit_log_default")), ("1".to_owned(), "1".to_owned()));
    assert_eq!(changes(&database), "DI");

    database.psql("CALL pgtape.drop_partition('worker.audit_log_2001_02')").unwrap();
    assert_eq!(changes(&database), "D");
    assert_eq!(count("audit_log"), "1");
    assert_eq!(database.psql("SELECT to_regclass('worker.audit_log_2001_02') IS NULL").unwrap(), "t");
    assert!(database.psql("CALL pgtape.drop_partition('worker.orders')").is_err());
}

#[tokio::test]
async fn ids_made_in_sql_are_those_of_rust() {
    let database = database();
    migrate(&database.url(), Action::Up, Some("aether")).await;
    let names: Vec<String> = (0..130).map(|n| "aé0🦀".chars().cycle().take(n).collect()).collect();
    let values: Vec<String> = names.iter().map(|name| format!("('{name}')")).collect();
    let sql = format!(
        "SELECT ledger.uuid_v5('6ba7b811-9dad-11d1-80b4-00c04fd430c8', n) FROM (VALUES {}) v(n)",
        values.join(",")
    );
    let ids = database.psql(&sql).unwrap();
    for (id, name) in ids.lines().zip(&names) {
        assert_eq!(id, Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string(), "{name}");
    }
    let arb = pgtape::engines::aether::arb_id("block 7, path ü");
    let bundle = pgtape::engines::aether::bundle_id(arb, -1);
    let sql = "SELECT a, aether.bundle_id(a, -1) FROM aether.arb_id('block 7, path ü') a";
    assert_eq!(database.psql(sql).unwrap(), format!("{arb}|{bundle}"));
}

fn as_role(server: &PrivatePostgres, role: &str, sql: &str) -> Result<String, String> {
    let mut psql = Command::new(server.bin("psql"));
    psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &url_as(&server.url(), role), "-c", sql]);
    let done = finish(psql).unwrap();
    if done.code == Some(0) { Ok(done.stdout.trim().to_owned()) } else { Err(done.stderr) }
}

#[tokio::test]
async fn each_role_may_do_its_own_work_and_no_more() {
    let server = server(&[]);
    migrate(&server.url(), Action::Up, None).await;
    for role in server.psql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'pgtape%'").unwrap().lines() {
        server.psql(&format!("ALTER ROLE {role} PASSWORD '{role}'")).unwrap();
    }
    let check = |role: &str, sql: &str, allowed: bool| {
        let done = as_role(&server, role, sql);
        assert_eq!(done.is_ok(), allowed, "{role}: {sql}: {done:?}");
        if let Err(error) = done {
            assert!(error.contains("permission denied") || error.contains("must be"), "{role}: {sql}: {error}");
        }
    };
    check("pgtape_replicator", "SELECT pg_create_logical_replication_slot('pgtape', 'pgoutput')", true);
    check("pgtape_replicator", "SELECT FROM worker.audit_log, meltica.orders, pgtape.sink_position", true);
    check("pgtape_replicator", "INSERT INTO pgtape.heartbeat VALUES (1, '0/1')", true);
    check("pgtape_replicator", "DELETE FROM worker.audit_log", false);
    check("pgtape_replicator", "DELETE FROM aether.pnl_daily", false);
    let position = "INSERT INTO pgtape.sink_position VALUES ('aether.pnl_daily', 1, '7', 1, 'f', 1, '0/1', 0)";
    check("pgtape_replicator", position, false);
    check("pgtape_rollup", position, true);
    check("pgtape_rollup", "SELECT FROM aether.arbs, aether.bundles, aether.inclusion_results", true);
    check("pgtape_rollup", "SELECT FROM worker.audit_log", false);
    check("pgtape_rollup", "INSERT INTO aether.pnl_daily (day) VALUES ('2026-01-31')", true);
    check("pgtape_rollup", "SELECT pg_create_logical_replication_slot('other', 'pgoutput')", false);
    check(
        "pgtape_engine_aether",
        "INSERT INTO aether.pool_registry VALUES ('', 'p', '', '', 1, 't', now(), now(), 's')",
        true,
    );
    check("pgtape_engine_aether", "INSERT INTO ledger.applied VALUES (gen_random_uuid())", true);
    check("pgtape_engine_aether", "UPDATE aether.pnl_daily SET bundle_count = 9", false);
    check("pgtape_engine_aether", "SELECT FROM worker.orders", false);
    check(
        "pgtape_engine_perplex",
        "INSERT INTO perplex.fills VALUES ('1','a','o','m','s','1','1','0','maker','1','t')",
        true,
    );
    check("pgtape_engine_worker", "INSERT INTO worker.audit_log (event_type, event_data) VALUES ('ERROR', '1')", true);
    check("pgtape_engine_worker", "DELETE FROM worker.audit_log", false);
}

#[tokio::test]
async fn the_replicating_role_finds_everything_as_the_service_needs_it() {
    let server = server(&[]);
    migrate(&server.url(), Action::Up, None).await;
    server.psql("ALTER ROLE pgtape_replicator PASSWORD 'pgtape_replicator'").unwrap();
    let engines = ["perplex", "openmatch", "aether", "meltica", "worker"];
    let tables = engines.map(|engine| Pattern::parse(&format!("{engine}.*")).unwrap());
    let address = address(&url_as(&server.url(), "pgtape_replicator"));
    let state = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(address, tables.to_vec(), state.path().to_owned());
    settings.excluded = engines.map(|engine| TableName::new(engine, "pnl_daily")).to_vec();
    let published = "SELECT string_agg(prrelid::regclass::text, ' ' ORDER BY 1) FROM pg_publication_rel";
    let before = server.psql(published).unwrap();
    prepare(&settings).await.unwrap_or_else(|e| panic!("{e}")).align().await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(server.psql(published).unwrap(), before);
    assert!(before.contains("pgtape.heartbeat") && !before.contains("pnl_daily"), "{before}");
}

#[tokio::test]
async fn an_owner_that_may_not_make_roles_gets_everything_else_and_roles_later() {
    let server = server(&[]);
    server.psql("CREATE ROLE owner LOGIN PASSWORD 'owner'").unwrap();
    server.psql("CREATE DATABASE mine OWNER owner").unwrap();
    let admin = server.url_for("mine");
    let owner = url_as(&admin, "owner");

    let report = migrate(&owner, Action::Up, None).await;
    for line in &report.lines {
        match &line.outcome {
            Outcome::Skipped(why) => assert!(line.name == "roles" && why.contains("make roles"), "{line:?}"),
            outcome => assert_eq!((outcome, line.name == "roles"), (&Outcome::Applied, false), "{line:?}"),
        }
    }
    let report = migrate(&admin, Action::Up, None).await;
    for line in &report.lines {
        assert_eq!(line.outcome == Outcome::Applied, line.name == "roles", "{line:?}");
    }

    server.psql("CREATE ROLE guest LOGIN PASSWORD 'guest'").unwrap();
    let guest = url_as(&server.url(), "guest");
    match migrate::run(&address(&guest), Action::Up, None).await {
        Err(Error::Refused(refusal)) => assert!(refusal.kind == Kind::Server && refusal.hint.contains("owner")),
        other => panic!("not refused: {other:?}"),
    }
}
