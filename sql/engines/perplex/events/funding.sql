-- perplex: a market's funding: its rate, and what each open position pays or receives.
--
--  $1 market_id    $2 ts_ns bigint    $3 rate_bps double precision
--  $4 payments jsonb    array of {"id", "address", "amount_usdc"}, all strings; positive: received
--
-- Answers: applied; false when an earlier attempt had paid it.
-- Idempotency: by (market_id, ts_ns), the key of funding_history; everything else hangs on its insert.
-- Lost answer: run it again.
WITH once AS (
    INSERT INTO perplex.funding_history (market_id, ts_ns, rate_bps)
    VALUES ($1::text, $2::bigint, $3::double precision)
    ON CONFLICT (market_id, ts_ns) DO NOTHING RETURNING market_id
), payments AS (
    SELECT p.* FROM once, jsonb_to_recordset($4::jsonb) AS p (id text, address text, amount_usdc text)
), paid AS (
    INSERT INTO perplex.funding_payments (id, address, market_id, ts_ns, amount_usdc)
    SELECT p.id, p.address, $1::text, ($2::bigint)::text, p.amount_usdc FROM payments p
), moved AS (
    INSERT INTO perplex.vault_balances AS v (address, amount)
    SELECT p.address, p.amount_usdc FROM payments p ORDER BY p.address
    ON CONFLICT (address) DO UPDATE SET amount = (v.amount::numeric + EXCLUDED.amount::numeric)::text
), noted AS (
    UPDATE perplex.positions t
    SET funding_paid_usdc = (t.funding_paid_usdc::numeric - p.amount_usdc::numeric)::text,
        last_updated_ts_ns = ($2::bigint)::text
    FROM payments p WHERE t.address = p.address AND t.market_id = $1::text
)
SELECT EXISTS (SELECT FROM once) AS applied
