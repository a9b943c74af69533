-- meltica: an order's state changes; its outbox event is in the same transaction.
--
--  $1 id uuid    $2 from text[]: the states it may be in    $3 to    $4 external_order_ref (null: keep)
--  $5 at timestamptz    $6 payload jsonb of the outbox event
--
-- `acknowledged` sets acknowledged_at; filled, cancelled, rejected and expired set completed_at.
-- Answers: applied; known: the order is in state $3, by this or an earlier attempt. Neither: it is in none of $2: read it
--   again, decide again.
-- Idempotency: natural; $3 must not be among $2.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH changed AS (
    UPDATE meltica.orders SET
        state = $3::text,
        external_order_ref = coalesce($4::text, external_order_ref),
        acknowledged_at = CASE WHEN $3::text = 'acknowledged' THEN $5::timestamptz ELSE acknowledged_at END,
        completed_at = CASE WHEN $3::text IN ('filled', 'cancelled', 'rejected', 'expired') THEN $5::timestamptz
            ELSE completed_at END,
        updated_at = $5::timestamptz
    WHERE id = $1::uuid AND state = ANY ($2::text[]) AND state <> $3::text
    RETURNING id
), told AS (
    INSERT INTO meltica.events_outbox (aggregate_type, aggregate_id, event_type, payload, available_at, created_at)
    SELECT 'order', changed.id::text, 'order.' || $3::text, $6::jsonb, $5::timestamptz, $5::timestamptz FROM changed
)
SELECT EXISTS (SELECT FROM changed) AS applied,
    EXISTS (SELECT FROM changed) OR EXISTS (SELECT FROM meltica.orders WHERE id = $1::uuid AND state = $3::text) AS known
