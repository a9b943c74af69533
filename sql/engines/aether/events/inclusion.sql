-- aether.inclusion: the poll loop looked on chain for a bundle. The only event that sets `included`.
--
--  $1 bundle_id
--  $2 builder
--  $3 included
--  $4 included_block   or null
--  $5 landed_tx_hash   or null
--  $6 error            or null
--  $7 resolved_at      when the loop looked
--
-- Idempotency: a look that finds what is known already changes nothing, so that resolved_at stays that of the first; a look
-- older than what is known is ignored. Anything else replaces what is known (a reorganised chain, a correction).
-- Lost answer: run it again with the same parameters.
-- Answers applied: true if this call changed what is known.
WITH written AS (
    INSERT INTO aether.inclusion_results AS known (bundle_id, builder, included, included_block, landed_tx_hash, error,
                                                   resolved_at)
    VALUES ($1::uuid, $2::text, $3::boolean, $4::bigint, $5::bytea, $6::text, $7::timestamptz)
    ON CONFLICT (bundle_id, builder) DO UPDATE
    SET included = EXCLUDED.included, included_block = EXCLUDED.included_block, landed_tx_hash = EXCLUDED.landed_tx_hash,
        error = EXCLUDED.error, resolved_at = EXCLUDED.resolved_at
    WHERE EXCLUDED.resolved_at >= known.resolved_at
      AND (known.included, known.included_block, known.landed_tx_hash, known.error)
          IS DISTINCT FROM (EXCLUDED.included, EXCLUDED.included_block, EXCLUDED.landed_tx_hash, EXCLUDED.error)
    RETURNING 1
)
SELECT EXISTS (SELECT FROM written) AS applied
