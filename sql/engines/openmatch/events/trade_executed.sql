-- openmatch: two orders of a batch trade: the trade, both orders' remaining quantity and status, and all balances.
--
--  $1 id uuid                $2 batch_id bigint       $3 market
--  $4 taker_order_id uuid    $5 maker_order_id uuid   $6 taker_user_id uuid    $7 maker_user_id uuid
--  $8 price numeric          $9 quantity numeric      $10 quote_amount numeric $11 taker_side (BUY|SELL)
--  $12 matcher_node bytea    $13 executed_at timestamptz
--  $14 users uuid[]  $15 assets varchar[]  $16 available numeric[]  $17 frozen numeric[]
--      what is added to whose balances; a pair of user and asset may stand there twice
--
-- Answers: applied; known: the trade is there, by this or an earlier attempt. Neither: an order is not open with that much
--   remaining; nothing was written.
-- Idempotency: by id; everything else hangs on its insert.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH legs AS (
    SELECT id FROM openmatch.orders
    WHERE id IN ($4::uuid, $5::uuid) AND remaining_qty >= $9::numeric AND status IN ('ACTIVE', 'PARTIALLY_FILLED')
    ORDER BY id FOR UPDATE
), once AS (
    INSERT INTO openmatch.trades (id, batch_id, market, taker_order_id, maker_order_id, taker_user_id, maker_user_id,
        price, quantity, quote_amount, taker_side, matcher_node, executed_at)
    SELECT $1::uuid, $2::bigint, $3::varchar, $4::uuid, $5::uuid, $6::uuid, $7::uuid,
        $8::numeric, $9::numeric, $10::numeric, $11::varchar, $12::bytea, $13::timestamptz
    WHERE (SELECT count(*) FROM legs) = 2
    ON CONFLICT (id) DO NOTHING RETURNING id
), filled AS (
    UPDATE openmatch.orders o SET
        remaining_qty = o.remaining_qty - $9::numeric,
        status = CASE WHEN o.remaining_qty = $9::numeric THEN 'FILLED' ELSE 'PARTIALLY_FILLED' END,
        updated_at = $13::timestamptz
    FROM once WHERE o.id IN ($4::uuid, $5::uuid)
), moved AS (
    INSERT INTO openmatch.balances AS b (user_id, asset, available, frozen, updated_at)
    SELECT d.user_id, d.asset, sum(d.available), sum(d.frozen), $13::timestamptz
    FROM once, unnest($14::uuid[], $15::varchar[], $16::numeric[], $17::numeric[])
        AS d (user_id, asset, available, frozen)
    GROUP BY d.user_id, d.asset ORDER BY d.user_id, d.asset
    ON CONFLICT (user_id, asset) DO UPDATE SET
        available = b.available + EXCLUDED.available, frozen = b.frozen + EXCLUDED.frozen, updated_at = EXCLUDED.updated_at
)
SELECT EXISTS (SELECT FROM once) AS applied,
    EXISTS (SELECT FROM once) OR EXISTS (SELECT FROM openmatch.trades WHERE id = $1::uuid) AS known
