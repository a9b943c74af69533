-- worker.order_status: an exchange said what became of an order, other than a fill.
--
--  $1 order id
--  $2 status              OPEN | CANCELLED | REJECTED
--  $3 exchange_order_id   or null: as it is
--  $4 said_at
--
-- Idempotency: an order that is there already, or that has ended (FILLED, CANCELLED, REJECTED), stays as it is; OPEN does not
-- undo a partial fill.
-- Lost answer: run it again with the same parameters.
-- Answers applied: true if this call changed the order.
WITH written AS (
    UPDATE worker.orders
    SET status = CASE WHEN $2::text = 'OPEN' AND status = 'PARTIALLY_FILLED' THEN status ELSE $2::text END,
        exchange_order_id = coalesce($3::text, exchange_order_id),
        updated_at = $4::timestamptz
    WHERE id = $1::uuid
      AND status NOT IN ('FILLED', 'CANCELLED', 'REJECTED')
      AND ($2::text <> 'OPEN' OR status = 'PENDING'
           OR exchange_order_id IS DISTINCT FROM coalesce($3::text, exchange_order_id))
    RETURNING 1
)
SELECT EXISTS (SELECT FROM written) AS applied
