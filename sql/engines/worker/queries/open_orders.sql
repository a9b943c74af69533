-- worker.open_orders: orders that have not ended, oldest first. By indexes orders_live and orders_partly_filled.
SELECT id, exchange, symbol, side, type, quantity_base, price_quote, status, exchange_order_id, idempotency_key, created_at,
       updated_at
FROM worker.orders
WHERE status IN ('OPEN', 'PENDING') OR status = 'PARTIALLY_FILLED'
ORDER BY created_at, id
