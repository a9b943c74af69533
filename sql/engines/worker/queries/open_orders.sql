-- worker.open_orders: orders that are PENDING or OPEN, oldest first. By index orders_live.
SELECT id, exchange, symbol, side, type, quantity_base, price_quote, status, exchange_order_id, idempotency_key, created_at,
       updated_at
FROM worker.orders
WHERE status IN ('OPEN', 'PENDING')
ORDER BY created_at, id
