-- meltica: a version of a strategy is added, changed, or brought back.
--
--  $1 id uuid: of a new row; an existing one keeps its own
--  $2 strategy_identifier    $3 version    $4 status    $5 config_hash    $6 description    $7 metadata jsonb
--  $8 updated_at timestamptz: when it was decided
--
-- Answers: applied; known; id uuid of the instance.
-- Idempotency: by (strategy_identifier, version); of two saves the one decided later stands.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH saved AS (
    INSERT INTO meltica.strategy_instances AS s (id, strategy_identifier, version, status, config_hash, description,
        metadata, created_at, updated_at)
    VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::jsonb, $8::timestamptz, $8::timestamptz)
    ON CONFLICT (strategy_identifier, version) DO UPDATE SET
        status = EXCLUDED.status, config_hash = EXCLUDED.config_hash, description = EXCLUDED.description,
        metadata = EXCLUDED.metadata, updated_at = EXCLUDED.updated_at, deleted_at = NULL
    WHERE s.updated_at < EXCLUDED.updated_at
    RETURNING id
), there AS (
    SELECT id FROM saved
    UNION ALL
    SELECT id FROM meltica.strategy_instances
    WHERE strategy_identifier = $2::text AND version = $3::text AND NOT EXISTS (SELECT FROM saved)
)
SELECT EXISTS (SELECT FROM saved) AS applied, EXISTS (SELECT FROM there) AS known, (SELECT id FROM there) AS id
