-- worker.fill: an exchange filled an order, in part or whole. The fill and its order's new status are one transaction.
--
--  $1 id                 a new one                    $6 fee_quote    quote units
--  $2 order_id                                        $7 fee_asset
--  $3 exchange_fill_id   the exchange's name for it   $8 filled_at
--  $4 price_quote        quote units                  $9 status       of the order now: PARTIALLY_FILLED | FILLED
--  $5 quantity_base      base units
--
-- Idempotency: one fill an exchange_fill_id; the order changes only with its fill. FILLED is final; a late fill that does
-- not complete a cancelled order leaves it cancelled.
-- Lost answer: run it again with the same exchange_fill_id.
-- Answers applied: true if this call wrote the fill.
WITH written AS (
    INSERT INTO worker.fills (id, order_id, exchange_fill_id, price_quote, quantity_base, fee_quote, fee_asset, filled_at)
    VALUES ($1::uuid, $2::uuid, $3::text, $4::bigint, $5::bigint, $6::bigint, $7::text, $8::timestamptz)
    ON CONFLICT (exchange_fill_id) DO NOTHING
    RETURNING order_id
), moved AS (
    UPDATE worker.orders
    SET status = $9::text, updated_at = $8::timestamptz
    FROM written
    WHERE orders.id = written.order_id
      AND (orders.status IN ('PENDING', 'OPEN', 'PARTIALLY_FILLED') OR $9::text = 'FILLED')
)
SELECT EXISTS (SELECT FROM written) AS applied
