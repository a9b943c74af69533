-- meltica: a provider is added, changed, or brought back.
--
--  $1 alias    $2 display_name    $3 adapter_identifier    $4 connection jsonb    $5 status    $6 metadata jsonb
--  $7 updated_at timestamptz: when it was decided
--
-- Answers: applied; known; id bigint of the provider.
-- Idempotency: by alias; of two saves the one decided later stands, whatever order they arrive in.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH saved AS (
    INSERT INTO meltica.providers AS p (alias, display_name, adapter_identifier, connection, status, metadata,
        created_at, updated_at)
    VALUES ($1::text, $2::text, $3::text, $4::jsonb, $5::text, $6::jsonb, $7::timestamptz, $7::timestamptz)
    ON CONFLICT (alias) DO UPDATE SET
        display_name = EXCLUDED.display_name, adapter_identifier = EXCLUDED.adapter_identifier,
        connection = EXCLUDED.connection, status = EXCLUDED.status, metadata = EXCLUDED.metadata,
        updated_at = EXCLUDED.updated_at, deleted_at = NULL
    WHERE p.updated_at < EXCLUDED.updated_at
    RETURNING id
), there AS (
    SELECT id FROM saved
    UNION ALL
    SELECT id FROM meltica.providers WHERE alias = $1::text AND NOT EXISTS (SELECT FROM saved)
)
SELECT EXISTS (SELECT FROM saved) AS applied, EXISTS (SELECT FROM there) AS known, (SELECT id FROM there) AS id
