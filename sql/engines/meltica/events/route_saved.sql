-- meltica: a provider's route for a symbol is added or changed, under its optimistic lock.
--
--  $1 provider_id bigint    $2 symbol    $3 version integer: the version that was read, 0 for a new route
--  $4 route jsonb           $5 metadata jsonb    $6 updated_at timestamptz
--
-- Answers: applied; known: the row is this very save, by this or an earlier attempt. Neither: somebody else changed the
--   route since it was read: read it again, decide again.
-- Idempotency: by (provider_id, symbol, version).
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH created AS (
    INSERT INTO meltica.provider_routes (provider_id, symbol, route, version, metadata, created_at, updated_at)
    SELECT $1::bigint, $2::text, $4::jsonb, 1, $5::jsonb, $6::timestamptz, $6::timestamptz WHERE $3::integer = 0
    ON CONFLICT (provider_id, symbol) DO NOTHING RETURNING version
), changed AS (
    UPDATE meltica.provider_routes
    SET route = $4::jsonb, metadata = $5::jsonb, version = version + 1, updated_at = $6::timestamptz
    WHERE provider_id = $1::bigint AND symbol = $2::text AND version = $3::integer AND $3::integer > 0
    RETURNING version
), saved AS (
    SELECT version FROM created UNION ALL SELECT version FROM changed
)
SELECT EXISTS (SELECT FROM saved) AS applied,
    EXISTS (SELECT FROM saved) OR EXISTS (
        SELECT FROM meltica.provider_routes
        WHERE provider_id = $1::bigint AND symbol = $2::text AND version = $3::integer + 1 AND route = $4::jsonb
            AND metadata = $5::jsonb AND updated_at = $6::timestamptz) AS known
