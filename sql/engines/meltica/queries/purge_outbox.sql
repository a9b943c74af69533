-- meltica: deletes delivered outbox events, oldest first.   $1 published before timestamptz    $2 limit bigint
-- Answers: how many. Run it until it answers fewer than the limit.
WITH purged AS (
    DELETE FROM meltica.events_outbox WHERE id IN (
        SELECT id FROM meltica.events_outbox
        WHERE delivered AND published_at < $1::timestamptz ORDER BY id LIMIT $2::bigint FOR UPDATE SKIP LOCKED)
    RETURNING id
)
SELECT count(*) AS purged FROM purged
