-- worker.funding_snapshot: a market's funding rate and prices at one moment.
--
--  $1 id         of this look       $4 funding_rate_bps
--  $2 exchange                      $5 mark_price_quote    quote units
--  $3 symbol                        $6 index_price_quote   quote units
--                                   $7 snapshot_at         chooses the month's partition
--
-- Idempotency: one an (id, snapshot_at). Lost answer: run it again with both the same.
-- Answers applied: true if this call wrote it.
WITH written AS (
    INSERT INTO worker.funding_snapshots (id, exchange, symbol, funding_rate_bps, mark_price_quote, index_price_quote,
                                          snapshot_at)
    VALUES ($1::uuid, $2::text, $3::text, $4::bigint, $5::bigint, $6::bigint, $7::timestamptz)
    ON CONFLICT (id, snapshot_at) DO NOTHING
    RETURNING 1
)
SELECT EXISTS (SELECT FROM written) AS applied
