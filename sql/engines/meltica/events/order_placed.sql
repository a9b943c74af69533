-- meltica: an order is sent to a provider; its outbox event is in the same transaction.
--
--  $1 id uuid         $2 provider_id bigint    $3 strategy_instance_id uuid (or null)    $4 client_order_id
--  $5 instrument      $6 side (buy|sell)       $7 order_type       $8 quantity numeric   $9 price numeric (or null)
--  $10 placed_at timestamptz                   $11 metadata jsonb  $12 payload jsonb of the outbox event
--
-- Answers: applied; false when an earlier attempt had placed it. A client_order_id that another order of the provider has
--   is refused (unique_violation).
-- Idempotency: by id.
-- Lost answer: run it again.
WITH once AS (
    INSERT INTO meltica.orders (id, provider_id, strategy_instance_id, client_order_id, instrument, side, order_type,
        quantity, price, state, placed_at, metadata, created_at, updated_at)
    VALUES ($1::uuid, $2::bigint, $3::uuid, $4::text, $5::text, $6::text, $7::text,
        $8::numeric, $9::numeric, 'placed', $10::timestamptz, $11::jsonb, $10::timestamptz, $10::timestamptz)
    ON CONFLICT (id) DO NOTHING RETURNING id
), told AS (
    INSERT INTO meltica.events_outbox (aggregate_type, aggregate_id, event_type, payload, available_at, created_at)
    SELECT 'order', once.id::text, 'order.placed', $12::jsonb, $10::timestamptz, $10::timestamptz FROM once
)
SELECT EXISTS (SELECT FROM once) AS applied
