-- meltica: an order's executions in the order they were traded.   $1 order_id uuid
SELECT execution_id, fill_quantity::text AS fill_quantity, fill_price::text AS fill_price, fee::text AS fee, fee_asset,
    liquidity, traded_at
FROM meltica.executions WHERE order_id = $1::uuid ORDER BY traded_at, execution_id
