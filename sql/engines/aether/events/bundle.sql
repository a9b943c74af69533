-- aether.bundle: the executor submitted a bundle, and these builders answered. Bundle and answers are one transaction.
--
--  $1 bundle_id      aether.bundle_id(arb_id, target_block)
--  $2 arb_id         need not be there yet
--  $3 submitted_at   also resolved_at of the answers
--  $4 target_block
--  $5 signed_tx_hex
--  $6 gas_used       or null
--  $7 gas_price_wei  or null
--  $8 is_shadow      true: was not sent to anybody
--  $9 builders       JSON as the executor has it: an array, an empty one, or JSON null (never SQL NULL)
-- $10 answered by    text[]: builders that answered, each once
-- $11 their errors   text[] of the same length: an error or null
--
-- Idempotency: bundle_id is a function of arb and block. A resubmission changes nothing of a bundle that is there, and
-- nothing of what is known about its inclusion; builders that answer for the first time are added, with included = false.
-- Lost answer: run it again with the same parameters.
-- Answers applied: true if this call wrote anything.
WITH bundle AS (
    INSERT INTO aether.bundles (bundle_id, arb_id, submitted_at, target_block, signed_tx_hex, gas_used, gas_price_wei,
                                is_shadow, builders)
    VALUES ($1::uuid, $2::uuid, $3::timestamptz, $4::bigint, $5::text, $6::bigint, $7::numeric, $8::boolean, $9::jsonb)
    ON CONFLICT (bundle_id) DO NOTHING
    RETURNING 1
), answers AS (
    INSERT INTO aether.inclusion_results (bundle_id, builder, included, error, resolved_at)
    SELECT $1::uuid, builder, false, error, $3::timestamptz
    FROM unnest($10::text[], $11::text[]) AS answer (builder, error)
    ORDER BY builder -- one order of locks for everybody
    ON CONFLICT (bundle_id, builder) DO NOTHING
    RETURNING 1
)
SELECT EXISTS (SELECT FROM bundle) OR EXISTS (SELECT FROM answers) AS applied
