-- worker.audit: something that must be told later.
--
--  $1 id           of this entry
--  $2 event_type   DECISION | ERROR | STATE_TRANSITION | RECONCILIATION
--  $3 event_data   JSON
--  $4 created_at   chooses the month's partition; a month without one goes to the default partition
--
-- Idempotency: one entry an (id, created_at). Lost answer: run it again with both the same.
-- Answers applied: true if this call wrote it.
WITH written AS (
    INSERT INTO worker.audit_log (id, event_type, event_data, created_at)
    VALUES ($1::uuid, $2::text, $3::jsonb, $4::timestamptz)
    ON CONFLICT (id, created_at) DO NOTHING
    RETURNING 1
)
SELECT EXISTS (SELECT FROM written) AS applied
