-- meltica: a provider reports an execution: the execution, its order's state, and the outbox event.
--
--  $1 order_id uuid     $2 provider_id bigint    $3 execution_id       $4 fill_quantity numeric    $5 fill_price numeric
--  $6 fee numeric (or null)    $7 fee_asset (or null)    $8 liquidity (or null)    $9 traded_at timestamptz
--  $10 metadata jsonb   $11 state of the order after it (partially_filled|filled)
--  $12 payload jsonb of the outbox event
--
-- A late execution of a completed order is kept and leaves the order's state alone.
-- Answers: applied; false when an earlier attempt, or an earlier report of the provider, had brought it.
-- Idempotency: by (order_id, execution_id).
-- Lost answer: run it again.
WITH once AS (
    INSERT INTO meltica.executions (order_id, provider_id, execution_id, fill_quantity, fill_price, fee, fee_asset,
        liquidity, traded_at, metadata, created_at)
    VALUES ($1::uuid, $2::bigint, $3::text, $4::numeric, $5::numeric, $6::numeric, $7::text,
        $8::text, $9::timestamptz, $10::jsonb, $9::timestamptz)
    ON CONFLICT (order_id, execution_id) DO NOTHING RETURNING order_id, execution_id
), moved AS (
    UPDATE meltica.orders o SET
        state = $11::text,
        completed_at = CASE WHEN $11::text = 'filled' THEN $9::timestamptz END,
        updated_at = $9::timestamptz
    FROM once WHERE o.id = once.order_id AND o.completed_at IS NULL
), told AS (
    INSERT INTO meltica.events_outbox (aggregate_type, aggregate_id, event_type, payload, available_at, created_at)
    SELECT 'execution', once.order_id::text || '/' || once.execution_id, 'execution.recorded', $12::jsonb,
        $9::timestamptz, $9::timestamptz
    FROM once
)
SELECT EXISTS (SELECT FROM once) AS applied
