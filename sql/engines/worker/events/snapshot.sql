-- worker.snapshot: balances, positions and open orders, as reconciled with the exchanges.
--
--  $1 id              of this reconciliation
--  $2 snapshot        JSON
--  $3 reconciled_at
--
-- Idempotency: one snapshot an id. Lost answer: run it again with the same id.
-- Answers applied: true if this call wrote it.
WITH written AS (
    INSERT INTO worker.state_snapshots (id, snapshot, reconciled_at)
    VALUES ($1::uuid, $2::jsonb, $3::timestamptz)
    ON CONFLICT (id) DO NOTHING
    RETURNING 1
)
SELECT EXISTS (SELECT FROM written) AS applied
