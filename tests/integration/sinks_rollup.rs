//! Roll-ups against a real server: the target equals its definition, whatever happens on the way.

use std::time::Duration;

use pgtape::engines::migrate::Action;
use pgtape::model::{Lsn, Position};
use pgtape::sandbox::{Database, Proxy};
use pgtape::sinks::rollup::{Rewind, by_hand};
use pgtape::sinks::{State, checkpoints, quarantine};
use pgtape::tape::Watermark;

use crate::common::engines::{address, migrate};
use crate::common::pipeline::{AT_MOST, Pipeline, Plan};
use crate::common::{database, server};

async fn all_engines() -> Database {
    let database = database();
    migrate(&database.url(), Action::Up, None).await;
    database
}

const EVERYTHING: &str = "perplex.*,openmatch.*,aether.*,meltica.*,worker.*";

/// Random changes of aether: bundles before their arbs, several builders, late and corrected truth, resubmissions.
fn aether(database: &Database, seed: u32) {
    let sql = format!(
        "SELECT setseed(0.{seed});
         INSERT INTO aether.bundles (bundle_id, arb_id, submitted_at, target_block, signed_tx_hex, gas_used, gas_price_wei, builders)
           SELECT aether.arb_id('b' || i), aether.arb_id('a' || i / 2), timestamptz '2026-11-01Z' + random() * interval '5 days', i, '',
             CASE WHEN random() < 0.8 THEN 21000 END, (random() * 1e40)::numeric(78,0), '[]'
           FROM (SELECT (random() * 300)::int i FROM generate_series(1, 40)) s ON CONFLICT DO NOTHING;
         INSERT INTO aether.inclusion_results (bundle_id, builder, included, resolved_at)
           SELECT aether.arb_id('b' || i), 'x' || b, random() < 0.5, timestamptz '2026-11-01Z' + random() * interval '5 days'
           FROM (SELECT DISTINCT (random() * 300)::int i, (random() * 2)::int b FROM generate_series(1, 60)) s
           ON CONFLICT (bundle_id, builder) DO UPDATE SET included = excluded.included, resolved_at = excluded.resolved_at;
         INSERT INTO aether.arbs (arb_id, ts, target_block, path_hash, hops, path, protocols, pool_addresses, flashloan_token,
             flashloan_amount, gross_profit_wei, net_profit_wei, gas_estimate, tip_bps)
           SELECT aether.arb_id('a' || i), now(), 1, '', 2, '[]', '[]', '[]', '', 1, 1, ((random() - 0.5) * 1e60)::numeric(78,0), 1, 1
           FROM (SELECT DISTINCT (random() * 150)::int i FROM generate_series(1, 30)) s
           ON CONFLICT (arb_id) DO UPDATE SET net_profit_wei = excluded.net_profit_wei;
         DELETE FROM aether.bundles WHERE random() < 0.02; DELETE FROM aether.inclusion_results WHERE random() < 0.02"
    );
    database.psql(&sql).unwrap();
}

/// Random changes of the four other engines.
fn others(database: &Database, seed: u32) {
    let at = "timestamptz '2026-11-01Z' + random() * interval '5 days'";
    let ns = "(1793491200000000000 + (random() * 4e14)::bigint)::text";
    let sql = format!(
        "SELECT setseed(0.{seed});
         INSERT INTO perplex.fills SELECT gen_random_uuid(), 'acct' || (random() * 3)::int, 'o', 'M' || (random() * 2)::int, 'buy',
             round((random() * 100)::numeric, 4)::text, round((random() * 9)::numeric, 6)::text, round((random() - 0.2)::numeric, 8)::text, 'maker', {ns}, ''
           FROM generate_series(1, 30);
         INSERT INTO perplex.funding_payments SELECT gen_random_uuid(), 'acct' || (random() * 3)::int, 'M0', {ns}, round((random() - 0.5)::numeric, 6)::text
           FROM generate_series(1, 5);
         UPDATE perplex.fills SET fee_usdc = '0.5' WHERE random() < 0.1; DELETE FROM perplex.fills WHERE random() < 0.05;
         INSERT INTO openmatch.orders SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid, gen_random_uuid(), 'A/B', 'BUY', 'LIMIT', 'ACTIVE', 1, 1, 1, 0, 0, '', now(), now()
           FROM generate_series(1, 2) i ON CONFLICT DO NOTHING;
         INSERT INTO openmatch.trades SELECT gen_random_uuid(), 1, (ARRAY['A/B', 'C/USD', 'none'])[1 + (random() * 2)::int],
             '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002',
             ('00000000-0000-0000-0000-00000000000' || (random() * 3)::int)::uuid, ('00000000-0000-0000-0000-00000000000' || (random() * 3)::int)::uuid,
             1, 1, (random() * 1e6)::numeric(28,8), 'BUY', '', {at}
           FROM generate_series(1, 30);
         DELETE FROM openmatch.trades WHERE random() < 0.05;
         INSERT INTO meltica.providers (id, alias, display_name, adapter_identifier, connection, metadata, created_at, updated_at) OVERRIDING SYSTEM VALUE
           SELECT i, 'p' || i, '', '', '{{}}', '{{}}', now(), now() FROM generate_series(1, 2) i ON CONFLICT DO NOTHING;
         INSERT INTO meltica.orders (id, provider_id, client_order_id, instrument, side, order_type, quantity, price, state, placed_at, metadata, created_at, updated_at)
           SELECT ledger.uuid_v5('ebcd4a97-1763-5976-9d20-ae41e209a861', 'o' || i), 1 + i % 2, 'c' || i, (ARRAY['BTC-USDT', 'ETH-EUR', 'odd'])[1 + i % 3], 'buy', 'limit', 1, 1, 'open', now(), '{{}}', now(), now()
           FROM generate_series(1, 12) i ON CONFLICT DO NOTHING;
         INSERT INTO meltica.executions (order_id, provider_id, execution_id, fill_quantity, fill_price, fee, fee_asset, traded_at, metadata, created_at)
           SELECT ledger.uuid_v5('ebcd4a97-1763-5976-9d20-ae41e209a861', 'o' || (1 + (random() * 11)::int)), 1, gen_random_uuid(), random(), random() * 1000,
             CASE WHEN random() < 0.7 THEN random() END, (ARRAY['USDT', 'EUR', 'BNB', NULL])[1 + (random() * 3)::int], {at}, '{{}}', now()
           FROM generate_series(1, 30);
         UPDATE meltica.orders SET instrument = 'BTC-EUR' WHERE random() < 0.1;
         DELETE FROM meltica.orders WHERE random() < 0.03;
         INSERT INTO worker.orders (id, exchange, symbol, side, type, quantity_base, status)
           SELECT ledger.uuid_v5('ebcd4a97-1763-5976-9d20-ae41e209a861', 'w' || i), 'x' || i % 2, 'S', 'BUY', 'LIMIT', 5, 'OPEN' FROM generate_series(1, 8) i ON CONFLICT DO NOTHING;
         INSERT INTO worker.fills (order_id, exchange_fill_id, price_quote, quantity_base, fee_quote, fee_asset, filled_at)
           SELECT CASE WHEN random() < 0.9 THEN ledger.uuid_v5('ebcd4a97-1763-5976-9d20-ae41e209a861', 'w' || (1 + (random() * 7)::int)) END, gen_random_uuid(),
             (random() * 1e15)::bigint, (random() * 1e15)::bigint, 3, 'USDT', {at} FROM generate_series(1, 30);
         INSERT INTO worker.funding_payments (exchange, symbol, asset, amount_quote, paid_at) SELECT 'x0', 'S', 'USDT', (random() * 100 - 50)::bigint, {at} FROM generate_series(1, 5);
         UPDATE worker.orders SET status = 'FILLED', symbol = 'T' WHERE random() < 0.1; DELETE FROM worker.orders WHERE random() < 0.03"
    );
    database.psql(&sql).unwrap();
}

/// Every roll-up as it is computed by its definition, in one text.
fn stored(database: &Database) -> String {
    database.psql("SELECT sink, generation FROM pgtape.sink_position ORDER BY 1").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_roll_up_equals_its_definition_through_restarts_and_checkpoints() {
    let database = all_engines().await;
    aether(&database, 11);
    others(&database, 12);
    let plan = Plan::new(&database, EVERYTHING, &by_hand::NAMES);
    let mut pipeline = plan.start().await;
    for round in 0..6 {
        for seed in 0..3 {
            aether(&database, 20 + 10 * round + seed);
            others(&database, 20 + 10 * round + seed);
        }
        plan.assert_rollups(&pipeline).await;
        match round % 3 {
            0 => drop(pipeline.handles.control.checkpoint().await.unwrap()),
            1 => {
                pipeline.stop().await.unwrap();
                pipeline = plan.start().await;
            }
            _ => drop(database.psql("TRUNCATE aether.arbs, perplex.fills; TRUNCATE worker.orders CASCADE").unwrap()),
        }
    }
    plan.assert_rollups(&pipeline).await;
    let groups = database.psql("SELECT count(*) > 20 FROM ledger.pnl_daily").unwrap();
    assert_eq!(groups, "t");
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_counted_twice_while_the_way_to_postgres_is_cut_again_and_again() {
    let server = server(&[]);
    let url = server.url();
    migrate(&url, Action::Up, None).await;
    let shared = std::sync::Arc::new(pgtape::sandbox::Shared::start(pgtape::sandbox::Place::Address(url)).unwrap());
    let database = shared.database().unwrap();
    migrate(&database.url(), Action::Up, None).await;
    let proxy = Proxy::start(server.port()).unwrap();
    let mut plan = Plan::new(&database, "aether.*", &["aether.pnl_daily"]);
    plan.rollup_url = proxy.url(&plan.url);
    assert_ne!(plan.rollup_url, plan.url);
    let pipeline = plan.start().await;
    for round in 0..12 {
        // Somewhere in the answers to the next transactions, in the answer to a COMMIT too.
        proxy.cut_after(round * 37);
        aether(&database, 100 + u32::try_from(round).unwrap());
        pipeline.caught_up(&plan.url).await;
        if round % 4 == 3 {
            proxy.refuse();
            aether(&database, 200 + u32::try_from(round).unwrap());
            let view = pipeline.caught_up(&plan.url).await;
            assert!(view.transactions > 0, "the standby goes on without the roll-up's server");
            proxy.resume();
        }
    }
    plan.assert_rollups(&pipeline).await;
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_used_is_quarantined_until_it_is_corrected() {
    let database = all_engines().await;
    let plan = Plan::new(&database, "perplex.*,aether.*", &["perplex.pnl_daily", "aether.pnl_daily"]);
    let pipeline = plan.start().await;
    let fill = |id: &str, price: &str| {
        let values =
            format!("('{id}', 'a', 'o', 'M', 'buy', '{price}', '2', '0.1', 'taker', '1793491200000000000', '')");
        database.psql(&format!("INSERT INTO perplex.fills VALUES {values}")).unwrap();
    };
    fill("good", "1.5");
    fill("bad", "1,5");
    database
        .psql(
            "INSERT INTO aether.bundles (bundle_id, arb_id, submitted_at, target_block, signed_tx_hex, gas_used, gas_price_wei, builders)
             VALUES (aether.arb_id('n'), aether.arb_id('n'), '2026-11-01Z', 1, '', 1, 'NaN', '[]'),
                    (aether.arb_id('o'), aether.arb_id('n'), '2026-11-01Z', 1, '', 10, repeat('9', 78)::numeric, '[]')",
        )
        .unwrap();
    fill("after", "2");
    plan.assert_rollups(&pipeline).await;
    let dir = quarantine::dir(plan.data_dir());
    let listed = quarantine::list(&dir, "perplex.pnl_daily").unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].key.as_slice(), listed[0].reason.as_str()),
        (&[Some("bad".to_owned())][..], "price is not a plain decimal number")
    );
    assert!(listed[0].position.parse::<Position>().is_ok());
    let reasons: Vec<String> =
        quarantine::list(&dir, "aether.pnl_daily").unwrap().into_iter().map(|e| e.reason).collect();
    assert_eq!(reasons.len(), 2);
    assert_eq!(pipeline.handles.quarantined("aether.pnl_daily"), 2);
    assert_eq!(database.psql("SELECT fill_count, volume FROM perplex.pnl_daily").unwrap(), "2|7.0");
    database.psql("UPDATE perplex.fills SET price = '10' WHERE id = 'bad'; DELETE FROM aether.bundles").unwrap();
    plan.assert_rollups(&pipeline).await;
    assert_eq!(database.psql("SELECT fill_count, volume FROM perplex.pnl_daily").unwrap(), "3|27.0");
    assert_eq!(database.psql("SELECT count(*) FROM aether.pnl_daily").unwrap(), "0", "an empty group is gone");
    assert_eq!(
        (quarantine::list(&dir, "perplex.pnl_daily").unwrap(), pipeline.handles.quarantined("aether.pnl_daily")),
        (vec![], 0)
    );
    pipeline.stop().await.unwrap();
}

fn rewind(plan: &Plan, watermark: &Watermark, pipeline: &Pipeline, to: Lsn) -> Rewind {
    let (tape, dir) = (plan.tape_dir(), checkpoints::dir(plan.data_dir()));
    let rollup = plan.rollups()[0].clone();
    Rewind::plan(rollup, tape, dir, watermark.clone(), pipeline.identity.clone(), to).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_up_can_be_rewound_under_a_running_service() {
    let database = all_engines().await;
    let plan = Plan::new(&database, "aether.*", &["aether.pnl_daily"]);
    let pipeline = plan.start().await;
    aether(&database, 1);
    pipeline.caught_up(&plan.url).await;
    pipeline.handles.control.checkpoint().await.unwrap();
    aether(&database, 2);
    let to = pipeline.emitted(&plan.url).await;
    plan.assert_rollups(&pipeline).await;
    let then = database
        .psql("SELECT day, realized_profit_wei, gas_spent_wei, contributions FROM aether.pnl_daily ORDER BY 1")
        .unwrap();
    aether(&database, 3);
    plan.assert_rollups(&pipeline).await;
    let generation = stored(&database);
    // Held, so that what the rewind leaves can be looked at before the service replays.
    let hold = pipeline.handles.control.hold(AT_MOST).await.unwrap();
    let rewind = rewind(&plan, &pipeline.watermark, &pipeline, to);
    let (content, point) = rewind.content().unwrap();
    let done = rewind.commit(&address(&plan.url), &content, point).await.unwrap();
    assert_eq!(done.now.lsn, to);
    let now = database
        .psql("SELECT day, realized_profit_wei, gas_spent_wei, contributions FROM aether.pnl_daily ORDER BY 1")
        .unwrap();
    assert_eq!(now, then);
    assert_ne!(stored(&database), generation);
    pipeline.handles.control.release(hold.id).await.unwrap();
    pipeline.handles.control.restart().await.unwrap();
    plan.assert_rollups(&pipeline).await;
    aether(&database, 4);
    plan.assert_rollups(&pipeline).await;
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_moved_by_someone_else_is_noticed_and_followed() {
    let database = all_engines().await;
    let plan = Plan::new(&database, "aether.*", &["aether.pnl_daily"]);
    let pipeline = plan.start().await;
    aether(&database, 1);
    plan.assert_rollups(&pipeline).await;
    pipeline.handles.control.checkpoint().await.unwrap();
    aether(&database, 2);
    plan.assert_rollups(&pipeline).await;
    let to = pipeline.caught_up(&plan.url).await.position.lsn;
    let rewind = rewind(&plan, &pipeline.watermark, &pipeline, to);
    aether(&database, 3);
    plan.assert_rollups(&pipeline).await;
    let (content, point) = rewind.content().unwrap();
    rewind.commit(&address(&plan.url), &content, point).await.unwrap();
    drop(rewind);
    aether(&database, 4); // The next commit finds no row where it expected one.
    let deadline = tokio::time::Instant::now() + AT_MOST;
    while stored(&database) != "aether.pnl_daily|2"
        || pipeline.handles.status()[1].state != State::Following
        || pipeline.handles.status()[1].generation != Some(2)
    {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", pipeline.handles.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    plan.assert_rollups(&pipeline).await;
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_outlives_a_position_moved_by_someone_else() {
    let database = all_engines().await;
    let plan = Plan::new(&database, "aether.*", &["aether.pnl_daily"]);
    let pipeline = plan.start().await;
    aether(&database, 1);
    plan.assert_rollups(&pipeline).await;
    pipeline.handles.control.checkpoint().await.unwrap();
    let to = pipeline.caught_up(&plan.url).await.position.lsn;
    let rewind = rewind(&plan, &pipeline.watermark, &pipeline, to);
    aether(&database, 2);
    plan.assert_rollups(&pipeline).await;
    let control = &pipeline.handles.control;
    let hold = control.hold(AT_MOST).await.unwrap();
    let (content, point) = rewind.content().unwrap();
    rewind.commit(&address(&plan.url), &content, point).await.unwrap();
    drop(rewind);
    aether(&database, 3);
    let lsn = pipeline.emitted(&plan.url).await;
    // The commit that the hold demands finds the position elsewhere: the delivery starts over, and the hold goes on.
    let view = control.apply_until(hold.id, lsn).await.unwrap();
    assert_eq!(view.position.lsn, lsn);
    control.release(hold.id).await.unwrap();
    plan.assert_rollups(&pipeline).await;
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_waits_for_who_just_moves_the_position_and_not_for_ever() {
    let database = all_engines().await;
    let plan = Plan::new(&database, "aether.*", &["aether.pnl_daily"]);
    let pipeline = plan.start().await;
    aether(&database, 1);
    plan.assert_rollups(&pipeline).await;
    pipeline.handles.control.checkpoint().await.unwrap();
    let to = pipeline.caught_up(&plan.url).await.position.lsn;
    let rewind = rewind(&plan, &pipeline.watermark, &pipeline, to);
    pipeline.stop().await.unwrap();
    let (content, point) = rewind.content().unwrap();
    let address = address(&plan.url);
    let mover = pgtape::pg::connect(&address, pgtape::pg::Purpose::Rollup).await.unwrap();
    let moving = "BEGIN; UPDATE pgtape.sink_position SET lsn = lsn - 1";
    mover.batch_execute(moving).await.unwrap();
    let (done, ()) = tokio::join!(rewind.commit(&address, &content, point), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        mover.batch_execute("COMMIT").await.unwrap();
    });
    let done = done.unwrap();
    assert_eq!((done.now.lsn, done.now.generation), (to, 2));
    assert!(done.before.unwrap().lsn < to, "it saw where the other one went");
    mover.batch_execute(moving).await.unwrap();
    let refusal = rewind.commit(&address, &content, point).await.unwrap_err().into_refusal("replace the roll-up");
    assert_eq!(refusal.kind, pgtape::refusal::Kind::Locked, "{refusal}");
    mover.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_up_that_cannot_commit_is_named_to_who_waits_for_it_and_stops_nobody_else() {
    let database = all_engines().await;
    let plan = Plan::new(&database, "aether.*", &["aether.pnl_daily"]);
    let pipeline = plan.start().await;
    aether(&database, 1);
    plan.assert_rollups(&pipeline).await;
    database.psql("DROP TABLE aether.pnl_daily CASCADE").unwrap();
    aether(&database, 2);
    let control = &pipeline.handles.control;
    let hold = control.hold(AT_MOST).await.unwrap();
    let release = control.release_on_drop(hold.id);
    let lsn = pipeline.emitted(&plan.url).await;
    let error = control.apply_until(hold.id, lsn).await.unwrap_err();
    assert!(error.to_string().contains("aether.pnl_daily cannot commit"), "{error}");
    drop(release);
    aether(&database, 3);
    pipeline.caught_up(&plan.url).await;
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_slot_replaces_the_targets_and_doubles_nothing() {
    let database = all_engines().await;
    let plan = Plan::new(&database, "aether.*", &["aether.pnl_daily"]);
    let pipeline = plan.start().await;
    aether(&database, 1);
    plan.assert_rollups(&pipeline).await;
    pipeline.stop().await.unwrap();
    aether(&database, 2);
    let (_, mut writer, recovered) = plan.open().await;
    pgtape::source::reset(&address(&plan.url), database.name(), &mut writer, &recovered).await.unwrap();
    drop(writer);
    let pipeline = plan.start().await;
    plan.assert_rollups(&pipeline).await;
    aether(&database, 3);
    plan.assert_rollups(&pipeline).await;
    assert_eq!(pipeline.handles.standby.view().epoch, 2);
    pipeline.stop().await.unwrap();

    // A new tape altogether, beside positions of the old one.
    std::fs::remove_dir_all(plan.data_dir()).unwrap();
    database.psql(&format!("SELECT pg_drop_replication_slot('{}')", database.name())).unwrap();
    let pipeline = plan.start().await;
    plan.assert_rollups(&pipeline).await;
    aether(&database, 4);
    plan.assert_rollups(&pipeline).await;
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_up_added_later_starts_from_the_standby() {
    let database = all_engines().await;
    let mut plan = Plan::new(&database, "aether.*", &[]);
    let pipeline = plan.start().await;
    aether(&database, 1);
    pipeline.caught_up(&plan.url).await;
    pipeline.stop().await.unwrap();
    plan.add_rollup("aether.pnl_daily");
    let pipeline = plan.start().await;
    aether(&database, 2);
    plan.assert_rollups(&pipeline).await;
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_taken_down_and_up_again_gets_its_roll_up_from_the_rows() {
    let database = all_engines().await;
    let plan = Plan::new(&database, "worker.*", &["worker.pnl_daily"]);
    let pipeline = plan.start().await;
    others(&database, 1);
    plan.assert_rollups(&pipeline).await;
    pipeline.handles.control.checkpoint().await.unwrap();
    pipeline.stop().await.unwrap();
    assert_eq!(stored(&database), "worker.pnl_daily|1");
    migrate(&database.url(), Action::Down, Some("worker")).await;
    assert_eq!(stored(&database), "", "the position goes with its target");
    migrate(&database.url(), Action::Up, Some("worker")).await;
    let pipeline = plan.start().await;
    plan.assert_rollups(&pipeline).await;
    others(&database, 2);
    plan.assert_rollups(&pipeline).await;
    assert_eq!(database.psql("SELECT count(*) FROM worker.pnl_daily WHERE volume < 0").unwrap(), "0");
    pipeline.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_somebody_emptied_or_made_anew_is_filled_from_the_rows() {
    let anew = "CREATE TABLE aether.fresh (LIKE aether.pnl_daily INCLUDING ALL); DROP TABLE aether.pnl_daily CASCADE;
         ALTER TABLE aether.fresh RENAME TO pnl_daily";
    let truncated = "TRUNCATE aether.pnl_daily";
    let database = all_engines().await;
    let plan = Plan::new(&database, "aether.*", &["aether.pnl_daily"]);
    let mut pipeline = plan.start().await;
    aether(&database, 1);
    plan.assert_rollups(&pipeline).await;
    pipeline.handles.control.checkpoint().await.unwrap();
    for (round, way) in [anew, truncated].into_iter().enumerate() {
        pipeline.stop().await.unwrap();
        database.psql(way).unwrap();
        aether(&database, 10 + u32::try_from(round).unwrap());
        pipeline = plan.start().await;
        plan.assert_rollups(&pipeline).await;
    }
    assert_eq!(stored(&database), "aether.pnl_daily|3", "each is a take-over");
    for (round, way) in [anew, truncated].into_iter().cycle().take(6).enumerate() {
        // Under the service: its next commit finds another target.
        database.psql(way).unwrap();
        aether(&database, 20 + u32::try_from(round).unwrap());
        let generation = format!("aether.pnl_daily|{}", round + 4);
        let deadline = tokio::time::Instant::now() + AT_MOST;
        while stored(&database) != generation {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", pipeline.handles.status());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        plan.assert_rollups(&pipeline).await;
    }
    pipeline.stop().await.unwrap();
}
