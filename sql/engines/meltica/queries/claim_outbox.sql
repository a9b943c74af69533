-- meltica: takes the oldest events that wait for delivery, for one publisher.
--
--  $1 limit bigint    $2 now timestamptz    $3 lease_ms bigint: a claim older than this has died with its publisher
--
-- Answers: the claimed events, oldest first.
-- Lost answer: run it again; what the first attempt took comes back when its lease is over. Delivery is at least once.
WITH due AS (
    SELECT id FROM meltica.events_outbox
    WHERE NOT delivered AND available_at <= $2::timestamptz
        AND (status = 'pending' OR claimed_at <= $2::timestamptz - $3::bigint * interval '1 millisecond')
    ORDER BY id LIMIT $1::bigint FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE meltica.events_outbox o SET status = 'processing', claimed_at = $2::timestamptz
    FROM due WHERE o.id = due.id
    RETURNING o.id, o.aggregate_type, o.aggregate_id, o.event_type, o.payload, o.headers, o.attempts
)
SELECT id, aggregate_type, aggregate_id, event_type, payload, headers, attempts FROM claimed ORDER BY id
