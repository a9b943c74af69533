-- openmatch: an open order ends unfilled; what was frozen for the rest of it is released in the same transaction.
--
--  $1 id uuid    $2 cancelled_at timestamptz    $3 release_asset (null: nothing to release)    $4 release numeric
--
-- Answers: applied; known: the order is cancelled, by this or an earlier attempt. Neither: it was not open any more.
-- Idempotency: natural; a cancelled order is not open.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH cancelled AS (
    UPDATE openmatch.orders SET status = 'CANCELLED', updated_at = $2::timestamptz
    WHERE id = $1::uuid AND status IN ('PENDING_ESCROW', 'ACTIVE', 'PARTIALLY_FILLED')
    RETURNING user_id
), released AS (
    UPDATE openmatch.balances b
    SET available = b.available + $4::numeric, frozen = b.frozen - $4::numeric, updated_at = $2::timestamptz
    FROM cancelled c WHERE b.user_id = c.user_id AND b.asset = $3::varchar
)
SELECT EXISTS (SELECT FROM cancelled) AS applied,
    EXISTS (SELECT FROM cancelled)
        OR EXISTS (SELECT FROM openmatch.orders WHERE id = $1::uuid AND status = 'CANCELLED') AS known
