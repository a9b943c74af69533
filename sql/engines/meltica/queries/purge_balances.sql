-- meltica: deletes balance snapshots, except the newest of each asset of a provider.
--  $1 snapshots before timestamptz    $2 limit bigint
-- Answers: how many. Run it until it answers fewer than the limit.
WITH purged AS (
    DELETE FROM meltica.balances WHERE id IN (
        SELECT b.id FROM meltica.balances b
        WHERE b.snapshot_at < $1::timestamptz AND EXISTS (
            SELECT FROM meltica.balances newer
            WHERE newer.provider_id = b.provider_id AND newer.asset = b.asset AND newer.snapshot_at > b.snapshot_at)
        ORDER BY b.id LIMIT $2::bigint FOR UPDATE OF b SKIP LOCKED)
    RETURNING id
)
SELECT count(*) AS purged FROM purged
