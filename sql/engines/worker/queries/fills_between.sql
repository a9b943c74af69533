-- worker.fills_between: fills of a period with their orders, newest first. By index fills_filled.
--
--  $1 from, included    $2 to, excluded    $3 most rows
SELECT f.id, f.order_id, f.exchange_fill_id, o.exchange, o.symbol, o.side, f.price_quote, f.quantity_base, f.fee_quote,
       f.fee_asset, f.filled_at
FROM worker.fills f
JOIN worker.orders o ON o.id = f.order_id
WHERE f.filled_at >= $1::timestamptz AND f.filled_at < $2::timestamptz
ORDER BY f.filled_at DESC, f.id
LIMIT $3::bigint
