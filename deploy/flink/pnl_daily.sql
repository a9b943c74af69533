-- aether's and openmatch's results of the day, from pgtape's topics (profile "flink"), kept in two compacted topics.
-- deploy/flink/flink.sh runs it and says what ${..} stands for; sql/rollups has the definitions, for Postgres.
--
-- Times are read as text: they are UTC with a fixed form, so that the day is what stands before the T, the earliest is the
-- least, and 'infinity', which no TIMESTAMP is, is left out instead of ending the job. So are years after 9999.
-- Wei are NUMERIC(78,0), twice what Flink's DECIMAL holds: they stay text, and exact_sum and exact_product (SqlRun.java)
-- calculate with all digits. openmatch's NUMERIC(28,8) fits DECIMAL(38,8) up to sums of thirty digits before the point.

CREATE TABLE aether_bundles (bundle_id STRING, arb_id STRING, submitted_at STRING, gas_used STRING, gas_price_wei STRING)
WITH ('connector' = 'kafka', 'format' = 'debezium-json', 'topic' = '${PREFIX}.aether.bundles',
      'properties.bootstrap.servers' = '${BROKERS}', 'properties.isolation.level' = 'read_committed',
      'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '${END}');

CREATE TABLE aether_inclusion_results (bundle_id STRING, included BOOLEAN, resolved_at STRING)
WITH ('connector' = 'kafka', 'format' = 'debezium-json', 'topic' = '${PREFIX}.aether.inclusion_results',
      'properties.bootstrap.servers' = '${BROKERS}', 'properties.isolation.level' = 'read_committed',
      'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '${END}');

CREATE TABLE aether_arbs (arb_id STRING, net_profit_wei STRING)
WITH ('connector' = 'kafka', 'format' = 'debezium-json', 'topic' = '${PREFIX}.aether.arbs',
      'properties.bootstrap.servers' = '${BROKERS}', 'properties.isolation.level' = 'read_committed',
      'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '${END}');

CREATE TABLE openmatch_trades (market STRING, taker_user_id STRING, maker_user_id STRING, quote_amount STRING,
                               executed_at STRING)
WITH ('connector' = 'kafka', 'format' = 'debezium-json', 'topic' = '${PREFIX}.openmatch.trades',
      'properties.bootstrap.servers' = '${BROKERS}', 'properties.isolation.level' = 'read_committed',
      'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '${END}');

-- The results: numbers as text, for a JSON number is a double to most who read it.
CREATE TABLE aether_pnl_daily (`day` STRING, realized_profit_wei STRING, gas_spent_wei STRING, bundle_count BIGINT,
                               inclusion_count BIGINT, PRIMARY KEY (`day`) NOT ENFORCED)
WITH ('connector' = 'upsert-kafka', 'topic' = '${PREFIX}.flink.aether.pnl_daily', 'key.format' = 'json',
      'value.format' = 'json', 'properties.bootstrap.servers' = '${BROKERS}');

CREATE TABLE openmatch_pnl_daily (`day` STRING, account STRING, market STRING, asset STRING, volume STRING,
                                  fill_count BIGINT, PRIMARY KEY (`day`, account, market, asset) NOT ENFORCED)
WITH ('connector' = 'upsert-kafka', 'topic' = '${PREFIX}.flink.openmatch.pnl_daily', 'key.format' = 'json',
      'value.format' = 'json', 'properties.bootstrap.servers' = '${BROKERS}');

CREATE TEMPORARY VIEW usable_bundles AS
SELECT bundle_id, arb_id, `day`, gas_wei
FROM (
    SELECT bundle_id, arb_id, LEFT(submitted_at, 10) AS `day`,
           CASE WHEN gas_price_wei = 'NAN' THEN 'NAN'
                ELSE COALESCE(exact_product(gas_used, gas_price_wei), '0') END AS gas_wei
    FROM aether_bundles
    WHERE submitted_at LIKE '____-__-__T%'
)
WHERE gas_wei <> 'NAN' AND CHAR_LENGTH(REPLACE(gas_wei, '-', '')) <= 78;

CREATE TEMPORARY VIEW landings AS
SELECT bundle_id, LEFT(MIN(resolved_at), 10) AS `day`
FROM aether_inclusion_results
WHERE included AND resolved_at LIKE '____-__-__T%'
GROUP BY bundle_id;

INSERT INTO aether_pnl_daily
SELECT `day`, exact_sum(realized_profit_wei), exact_sum(gas_spent_wei), SUM(bundle_count), SUM(inclusion_count)
FROM (
    SELECT `day`, '0' AS realized_profit_wei, gas_wei AS gas_spent_wei,
           CAST(1 AS BIGINT) AS bundle_count, CAST(0 AS BIGINT) AS inclusion_count
    FROM usable_bundles
    UNION ALL
    SELECT landings.`day`, COALESCE(a.net_profit_wei, '0'), '0', CAST(0 AS BIGINT), CAST(1 AS BIGINT)
    FROM landings
    JOIN usable_bundles AS b ON b.bundle_id = landings.bundle_id
    LEFT JOIN (SELECT * FROM aether_arbs WHERE net_profit_wei <> 'NAN') AS a ON a.arb_id = b.arb_id
)
GROUP BY `day`;

CREATE TEMPORARY VIEW usable_trades AS
SELECT LEFT(executed_at, 10) AS `day`, market, SUBSTRING(market FROM POSITION('/' IN market) + 1) AS asset,
       taker_user_id, maker_user_id, CAST(quote_amount AS DECIMAL(28, 8)) AS volume
FROM openmatch_trades
WHERE market LIKE '%/_%' AND quote_amount <> 'NAN' AND executed_at LIKE '____-__-__T%';

INSERT INTO openmatch_pnl_daily
SELECT `day`, account, market, asset, CAST(SUM(volume) AS STRING), COUNT(*)
FROM (
    SELECT `day`, taker_user_id AS account, market, asset, volume FROM usable_trades
    UNION ALL
    SELECT `day`, maker_user_id, market, asset, volume FROM usable_trades
)
GROUP BY `day`, account, market, asset;
