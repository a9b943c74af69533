-- meltica: orders of a provider that are not completed, oldest first.   $1 provider_id bigint    $2 limit bigint
SELECT id, strategy_instance_id, client_order_id, instrument, side, order_type, quantity::text AS quantity,
    price::text AS price, state, external_order_ref, placed_at
FROM meltica.orders
WHERE provider_id = $1::bigint AND state IN ('placed', 'acknowledged', 'partially_filled')
ORDER BY placed_at, id LIMIT $2::bigint
