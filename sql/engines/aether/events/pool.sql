-- aether.pool: a liquidity pool was seen.
--
--  $1 address    $3 token0    $5 fee_bps   or null    $7 seen_at
--  $2 protocol   $4 token1    $6 tier      or null    $8 source
--
-- Idempotency: first_seen is the earliest, last_seen the latest seen_at of all calls, in whatever order they come; tier and source
-- are those of the latest. A call that brings nothing new changes nothing.
-- Lost answer: run it again with the same parameters.
-- Answers applied: true if this call changed the pool.
WITH written AS (
    INSERT INTO aether.pool_registry AS known (address, protocol, token0, token1, fee_bps, tier, first_seen, last_seen, source)
    VALUES ($1::bytea, $2::text, $3::bytea, $4::bytea, $5::integer, $6::text, $7::timestamptz, $7::timestamptz, $8::text)
    ON CONFLICT (address) DO UPDATE
    SET first_seen = least(known.first_seen, EXCLUDED.first_seen),
        last_seen = greatest(known.last_seen, EXCLUDED.last_seen),
        tier = CASE WHEN EXCLUDED.last_seen > known.last_seen THEN EXCLUDED.tier ELSE known.tier END,
        source = CASE WHEN EXCLUDED.last_seen > known.last_seen THEN EXCLUDED.source ELSE known.source END
    WHERE EXCLUDED.first_seen < known.first_seen OR EXCLUDED.last_seen > known.last_seen
    RETURNING 1
)
SELECT EXISTS (SELECT FROM written) AS applied
