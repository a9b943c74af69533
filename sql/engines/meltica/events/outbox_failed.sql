-- meltica: an outbox event that was claimed could not be delivered; it becomes available again later.
--
--  $1 id bigint    $2 claimed_at timestamptz: of the claim that failed    $3 error    $4 available_at timestamptz
--
-- Answers: applied; false when that claim has ended already.
-- Idempotency: by the claim.
-- Lost answer: run it again.
WITH released AS (
    UPDATE meltica.events_outbox
    SET status = 'pending', claimed_at = NULL, attempts = attempts + 1, last_error = $3::text,
        available_at = $4::timestamptz
    WHERE id = $1::bigint AND NOT delivered AND claimed_at = $2::timestamptz
    RETURNING id
)
SELECT EXISTS (SELECT FROM released) AS applied
