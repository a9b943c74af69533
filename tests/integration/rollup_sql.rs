//! The definitions of the roll-ups, against rows made by hand. A row that a roll-up cannot use is left out and stops
//! nothing.

use crate::common::engines::{engine_database, migrate, sql};
use pgtape::engines::migrate::Action;
use pgtape::sandbox::Database;

/// What the definition gives for `rows`, as composite texts: NULL is nothing, '' is `""`.
async fn check(engine: &str, rows: &str, want: &[&str]) -> Database {
    let database = engine_database(engine).await;
    database.psql(rows).unwrap();
    // Whatever the session's zone: a day is a UTC day.
    let definition = sql(&format!("rollups/{engine}.sql"));
    for zone in ["UTC", "Pacific/Kiritimati"] {
        let got =
            database.psql(&format!("SET timezone = '{zone}'; SELECT r FROM ({definition}) r ORDER BY r")).unwrap();
        assert_eq!(got.lines().collect::<Vec<_>>(), want, "{engine} in {zone}");
    }
    fits_its_target(&database, engine, &definition);
    database
}

/// The result is the target's columns, but for updated_at.
fn fits_its_target(database: &Database, engine: &str, definition: &str) {
    let columns = database
        .psql(&format!(
            "CREATE TEMP VIEW definition AS {definition};
             SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = 'definition'::regclass AND attnum > 0"
        ))
        .unwrap();
    let target = database
        .psql(&format!(
            "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = '{engine}.pnl_daily'::regclass AND attnum > 0 AND attname <> 'updated_at'"
        ))
        .unwrap();
    assert_eq!(columns, target);
    let differs = format!(
        "INSERT INTO {engine}.pnl_daily ({columns}) {definition};
         SELECT count(*) FROM (({definition}) EXCEPT SELECT {columns} FROM {engine}.pnl_daily) d"
    );
    assert_eq!(database.psql(&differs).unwrap(), "0");
}

#[tokio::test]
async fn aether_counts_a_bundle_once_and_on_the_day_of_its_earliest_truth() {
    let arb = "path_hash, hops, path, protocols, pool_addresses, flashloan_token, flashloan_amount, gross_profit_wei";
    let filler = "'', 2, '[]', '[]', '[]', '', 1, 1";
    let rows = format!(
        "INSERT INTO aether.arbs (arb_id, ts, target_block, {arb}, net_profit_wei, gas_estimate, tip_bps) VALUES
           (aether.arb_id('a'), '2026-01-30Z', 1, {filler}, 1000000000000000000000000000001, 1, 1),
           (aether.arb_id('nan'), '2026-01-30Z', 1, {filler}, 'NaN', 1, 1);
         INSERT INTO aether.bundles (bundle_id, arb_id, submitted_at, target_block, signed_tx_hex, gas_used, gas_price_wei, builders) VALUES
           ('00000000-0000-0000-0000-000000000001', aether.arb_id('a'), '2026-01-31 23:59:59.999999Z', 1, '', 21000, 3, '[]'),
           ('00000000-0000-0000-0000-000000000002', aether.arb_id('no arb'), '2026-02-01 00:00:00Z', 1, '', NULL, 3, '[]'),
           ('00000000-0000-0000-0000-000000000003', aether.arb_id('nan'), '2026-02-01 00:00:00Z', 1, '', 5, 2, '[]'),
           ('00000000-0000-0000-0000-000000000004', aether.arb_id('a'), '2026-02-01 00:00:00Z', 2, '', 5, 'NaN', '[]'),
           ('00000000-0000-0000-0000-000000000005', aether.arb_id('a'), 'infinity', 3, '', 5, 1, '[]'),
           ('00000000-0000-0000-0000-000000000006', aether.arb_id('a'), '2026-02-01Z', 4, '', 10, repeat('9', 78)::numeric, '[]');
         INSERT INTO aether.inclusion_results (bundle_id, builder, included, resolved_at) VALUES
           ('00000000-0000-0000-0000-000000000001', 'x', true,  '2026-02-03 00:00:00Z'),
           ('00000000-0000-0000-0000-000000000001', 'y', true,  '2026-02-02 23:59:59Z'),
           ('00000000-0000-0000-0000-000000000001', 'z', false, '2026-01-31 00:00:00Z'),
           ('00000000-0000-0000-0000-000000000002', 'x', true,  '2026-02-01 10:00:00Z'),
           ('00000000-0000-0000-0000-000000000003', 'x', true,  '2026-02-02 10:00:00Z'),
           ('00000000-0000-0000-0000-000000000004', 'x', true,  '2026-02-02 10:00:00Z'),
           ('00000000-0000-0000-0000-000000000009', 'x', true,  '2026-02-02 10:00:00Z');"
    );
    let want = [
        "(2026-01-31,0,63000,1,0,1)",
        "(2026-02-01,0,10,2,1,3)",
        "(2026-02-02,1000000000000000000000000000001,0,0,2,2)",
    ];
    let database = check("aether", &rows, &want).await;
    let view = database.psql("SELECT p FROM ledger.pnl_daily p ORDER BY day LIMIT 1").unwrap();
    assert_eq!(view, r#"(aether,2026-01-31,"","",wei,0,63000,,,0,-63000)"#);
}

#[tokio::test]
async fn perplex_sums_exact_text_by_account_and_market() {
    let last_ns = "1769903999999999999"; // 2026-01-31 23:59:59.999999999
    let rows = format!(
        "INSERT INTO perplex.fills (id, address, order_id, market_id, side, price, qty, fee_usdc, role, ts_ns, tx_hash) VALUES
           ('1', 'alice', 'o', 'BTC', 'buy',  '0.1', '0.000000000000000003', '0.01', 'taker', '{last_ns}', ''),
           ('2', 'alice', 'o', 'BTC', 'sell', '-2', '3', '-0.02', 'maker', '{last_ns}', ''),
           ('3', 'alice', 'o', 'BTC', 'sell', '1', '1', '0', 'maker', '1769904000000000000', ''),
           ('4', 'bob', 'o', 'BTC', 'buy', 'NaN', '1', '0', 'taker', '{last_ns}', ''),
           ('5', 'bob', 'o', 'BTC', 'buy', '1', '1e3', '0', 'taker', '{last_ns}', ''),
           ('6', 'bob', 'o', 'BTC', 'buy', '1', '1', '', 'taker', '{last_ns}', ''),
           ('7', 'bob', 'o', 'BTC', 'buy', '1', '1', '0', 'taker', 'yesterday', '');
         INSERT INTO perplex.funding_payments VALUES
           ('1', 'alice', 'BTC', '{last_ns}', '-0.5'),
           ('2', 'carol', 'ETH', '0', '1.25'),
           ('3', 'carol', 'ETH', '0', 'much');"
    );
    let want = [
        "(1970-01-01,carol,ETH,USDC,,0,1.25,0,0,,1)",
        "(2026-01-31,alice,BTC,USDC,,-0.01,-0.5,-5.9999999999999999997,2,,3)",
        "(2026-02-01,alice,BTC,USDC,,0,0,1,1,,1)",
    ];
    check("perplex", &rows, &want).await;
}

#[tokio::test]
async fn openmatch_counts_a_trade_for_taker_and_maker() {
    let (alice, bob) = ("00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b");
    let order = "00000000-0000-0000-0000-000000000001";
    let trade = |n: u32, market: &str, taker: &str, maker: &str, amount: &str, at: &str| {
        format!(
            "('00000000-0000-0000-0001-00000000000{n}', 1, '{market}', '{order}', '{order}', '{taker}', '{maker}', 1, 1,
              '{amount}', 'BUY', '', '{at}')"
        )
    };
    let trades = [
        trade(1, "BTC/USDT", alice, bob, "0.00000001", "2026-01-31 23:59:59.999999Z"),
        trade(2, "BTC/USDT", alice, alice, "12345678901234567890.12345678", "2026-01-31 00:00:00Z"),
        trade(3, "A/B/C", bob, bob, "2", "2026-02-01 00:00:00Z"),
        trade(4, "BTCUSDT", alice, bob, "5", "2026-01-31 00:00:00Z"),
        trade(5, "BTC/", alice, bob, "5", "2026-01-31 00:00:00Z"),
        trade(6, "BTC/USDT", alice, bob, "NaN", "2026-01-31 00:00:00Z"),
        trade(7, "BTC/USDT", alice, bob, "5", "-infinity"),
    ];
    let rows = format!(
        "INSERT INTO openmatch.orders VALUES ('{order}', '{alice}', 'BTC/USDT', 'BUY', 'LIMIT', 'ACTIVE', 1, 1, 1, 1, 0, '',
                                              now(), now());
         INSERT INTO openmatch.trades VALUES {}",
        trades.join(",")
    );
    let want = [
        format!("(2026-01-31,{alice},BTC/USDT,USDT,,,,24691357802469135780.24691357,3,,3)"),
        format!("(2026-01-31,{bob},BTC/USDT,USDT,,,,0.00000001,1,,1)"),
        format!("(2026-02-01,{bob},A/B/C,B/C,,,,4.00000000,2,,2)"),
    ];
    check("openmatch", &rows, &want.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn meltica_keeps_fees_of_another_asset_apart() {
    let order = |n: u32| format!("00000000-0000-0000-0000-00000000000{n}");
    let strategy = "00000000-0000-0000-0000-0000000000aa";
    let execution = |n: u32, name: &str, quantity: &str, price: &str, fee: &str, asset: &str, at: &str| {
        format!("('{}', 1, '{name}', {quantity}, {price}, {fee}, {asset}, '{at}')", order(n))
    };
    let executions = [
        execution(1, "a", "2", "3.5", "0.1", "'USDT'", "2026-01-31 23:59:59Z"),
        execution(1, "b", "1", "1", "0.2", "'BNB'", "2026-01-31 00:00:00Z"),
        execution(1, "c", "1", "1", "NULL", "NULL", "2026-01-31 00:00:00Z"),
        execution(1, "d", "1", "1", "0.3", "NULL", "2026-01-31 00:00:00Z"),
        execution(1, "e", "'NaN'", "1", "0.3", "NULL", "2026-01-31 00:00:00Z"),
        execution(2, "a", "1", "1", "0.3", "NULL", "2026-01-31 00:00:00Z"),
        execution(3, "a", "4", "0.25", "0", "'USD-PERP'", "2026-02-01 00:00:00Z"),
    ];
    let rows = format!(
        "INSERT INTO meltica.providers (alias, display_name, adapter_identifier, connection) VALUES ('p', 'p', 'p', '{{}}');
         INSERT INTO meltica.strategy_instances VALUES ('{strategy}', 's', '1', 'on', 'h');
         INSERT INTO meltica.orders (id, provider_id, strategy_instance_id, client_order_id, instrument, side, order_type,
                                     quantity, state, placed_at) VALUES
           ('{}', 1, '{strategy}', '1', 'BTC-USDT', 'buy', 'limit', 1, 'open', now()),
           ('{}', 1, NULL, '2', 'BTCUSDT', 'buy', 'limit', 1, 'open', now()),
           ('{}', 1, NULL, '3', 'BTC-USD-PERP', 'buy', 'limit', 1, 'open', now());
         INSERT INTO meltica.executions (order_id, provider_id, execution_id, fill_quantity, fill_price, fee, fee_asset,
                                         traded_at) VALUES {}",
        order(1),
        order(2),
        order(3),
        executions.join(",")
    );
    let zeros = "0".repeat(32);
    let want = [
        format!("(2026-01-31,1/{strategy},BTC-USDT,-,,0.3000000000000000,,0,0,,1)"),
        format!("(2026-01-31,1/{strategy},BTC-USDT,BNB,,0.2000000000000000,,0,0,,1)"),
        format!("(2026-01-31,1/{strategy},BTC-USDT,USDT,,0.1000000000000000,,10.{zeros},4,,4)"),
        format!("(2026-02-01,1/-,BTC-USD-PERP,USD-PERP,,0.0000000000000000,,1.{zeros},1,,1)"),
    ];
    check("meltica", &rows, &want.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn worker_joins_fills_to_orders_and_adds_funding() {
    let order = "00000000-0000-0000-0000-000000000001";
    let rows = format!(
        "INSERT INTO worker.orders (id, exchange, symbol, side, type, quantity_base, status)
           VALUES ('{order}', 'kraken', 'BTC-USD', 'BUY', 'LIMIT', 5, 'OPEN');
         INSERT INTO worker.fills (order_id, exchange_fill_id, price_quote, quantity_base, fee_quote, fee_asset, filled_at) VALUES
           ('{order}', '1', 9223372036854775807, 9223372036854775807, 7, 'USD', '2026-01-31 23:59:59.999999Z'),
           ('{order}', '2', 1, 2, -3, 'USD', '2026-01-31 00:00:00Z'),
           ('{order}', '3', 1, 2, 3, 'KFEE', '2026-01-31 00:00:00Z'),
           ('{order}', '4', 1, 2, 3, 'USD', 'infinity'),
           (NULL, '5', 1, 2, 3, 'USD', '2026-01-31 00:00:00Z');
         INSERT INTO worker.funding_payments (exchange, symbol, asset, amount_quote, paid_at) VALUES
           ('kraken', 'BTC-USD', 'USD', -11, '2026-01-31 12:00:00Z'),
           ('kraken', 'ETH-USD', 'USD', 4, '2026-02-01 00:00:00Z');"
    );
    let want = [
        "(2026-01-31,kraken,BTC-USD,KFEE,,3,0,2,1,,1)",
        "(2026-01-31,kraken,BTC-USD,USD,,4,-11,85070591730234615847396907784232501251,2,,3)",
        "(2026-02-01,kraken,ETH-USD,USD,,0,4,0,0,,1)",
    ];
    check("worker", &rows, &want).await;
}

#[tokio::test]
async fn one_view_unites_all_five() {
    let database = crate::common::database();
    migrate(&database.url(), Action::Up, None).await;
    for engine in ["perplex", "openmatch", "meltica", "worker"] {
        let row =
            format!("INSERT INTO {engine}.pnl_daily VALUES ('2026-01-31', 'a', 'm', 'USD', 9, 2, 1, 100, 3, 8, 3)");
        database.psql(&row).unwrap();
    }
    database.psql("INSERT INTO aether.pnl_daily VALUES ('2026-01-31', 50, 20, 4, 3, 7)").unwrap();
    let today = database.psql("SELECT p FROM ledger.pnl_daily p WHERE day = '2026-01-31' ORDER BY engine").unwrap();
    let want = [
        r#"(aether,2026-01-31,"","",wei,50,20,,,3,30)"#,
        "(meltica,2026-01-31,a,m,USD,9,2,1,100,3,8)",
        "(openmatch,2026-01-31,a,m,USD,9,2,1,100,3,8)",
        "(perplex,2026-01-31,a,m,USD,9,2,1,100,3,8)",
        "(worker,2026-01-31,a,m,USD,9,2,1,100,3,8)",
    ];
    assert_eq!(today.lines().collect::<Vec<_>>(), want);
}
