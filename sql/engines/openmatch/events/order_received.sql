-- openmatch: an order arrives; what it may cost is frozen in the same transaction.
--
--  $1 id uuid           $2 user_id uuid     $3 market       $4 side (BUY|SELL)    $5 order_type (LIMIT|MARKET|CANCEL)
--  $6 status            $7 price numeric (or null)          $8 quantity numeric   $9 sequence bigint
--  $10 origin_node bytea                    $11 created_at timestamptz
--  $12 escrow_asset (null: nothing to freeze)               $13 escrow numeric
--
-- Answers: applied; known: the order is there, by this or an earlier attempt. Neither: not enough is available to freeze;
--   nothing was written.
-- Idempotency: by id; orders are never deleted.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH funds AS (
    SELECT user_id FROM openmatch.balances
    WHERE user_id = $2::uuid AND asset = $12::varchar AND available >= $13::numeric
    FOR UPDATE
), once AS (
    INSERT INTO openmatch.orders (id, user_id, market, side, order_type, status, price, quantity, remaining_qty, sequence,
        origin_node, created_at, updated_at)
    SELECT $1::uuid, $2::uuid, $3::varchar, $4::varchar, $5::varchar, $6::varchar, $7::numeric, $8::numeric, $8::numeric,
        $9::bigint, $10::bytea, $11::timestamptz, $11::timestamptz
    WHERE $12::varchar IS NULL OR EXISTS (SELECT FROM funds)
    ON CONFLICT (id) DO NOTHING RETURNING id
), frozen AS (
    UPDATE openmatch.balances b
    SET available = b.available - $13::numeric, frozen = b.frozen + $13::numeric, updated_at = $11::timestamptz
    FROM once WHERE b.user_id = $2::uuid AND b.asset = $12::varchar
)
SELECT EXISTS (SELECT FROM once) AS applied,
    EXISTS (SELECT FROM once) OR EXISTS (SELECT FROM openmatch.orders WHERE id = $1::uuid) AS known
