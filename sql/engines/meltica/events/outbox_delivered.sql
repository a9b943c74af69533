-- meltica: outbox events have reached their consumers.
--
--  $1 ids bigint[]    $2 at timestamptz
--
-- Answers: applied; false when all of them were marked already.
-- Idempotency: natural; a delivered event stays delivered.
-- Lost answer: run it again.
WITH marked AS (
    UPDATE meltica.events_outbox
    SET delivered = true, status = 'delivered', published_at = $2::timestamptz, attempts = attempts + 1, last_error = NULL
    WHERE id = ANY ($1::bigint[]) AND NOT delivered
    RETURNING id
)
SELECT EXISTS (SELECT FROM marked) AS applied
