-- worker.funding_payment: funding was paid or received.
--
--  $1 id         of the payment     $4 asset
--  $2 exchange                      $5 amount_quote   quote units; positive: received
--  $3 symbol                        $6 paid_at
--
-- Idempotency: one payment an id. Lost answer: run it again with the same id.
-- Answers applied: true if this call wrote it.
WITH written AS (
    INSERT INTO worker.funding_payments (id, exchange, symbol, asset, amount_quote, paid_at)
    VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::bigint, $6::timestamptz)
    ON CONFLICT (id) DO NOTHING
    RETURNING 1
)
SELECT EXISTS (SELECT FROM written) AS applied
