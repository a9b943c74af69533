-- aether.arb: the engine found an opportunity.
--
--  $1 arb_id            aether.arb_id(opportunity id)      $10 flashloan_amount  wei
--  $2 ts                when it was found                  $11 gross_profit_wei
--  $3 target_block                                         $12 net_profit_wei
--  $4 path_hash                                            $13 gas_estimate
--  $5 hops                                                 $14 tip_bps
--  $6 path              tokens, as a JSON array            $15 detection_us      or null
--  $7 protocols         likewise                           $16 sim_us            or null
--  $8 pool_addresses    likewise                           $17 git_sha           or null
--  $9 flashloan_token
--
-- Idempotency: arb_id is a function of the opportunity; an arb that is there stays as it is.
-- Lost answer: run it again with the same parameters.
-- Answers applied: true if this call wrote the arb.
WITH written AS (
    INSERT INTO aether.arbs (arb_id, ts, target_block, path_hash, hops, path, protocols, pool_addresses, flashloan_token,
                             flashloan_amount, gross_profit_wei, net_profit_wei, gas_estimate, tip_bps, detection_us,
                             sim_us, git_sha)
    VALUES ($1::uuid, $2::timestamptz, $3::bigint, $4::bytea, $5::smallint, $6::jsonb, $7::jsonb, $8::jsonb, $9::bytea,
            $10::numeric, $11::numeric, $12::numeric, $13::bigint, $14::integer, $15::bigint, $16::bigint, $17::text)
    ON CONFLICT (arb_id) DO NOTHING
    RETURNING 1
)
SELECT EXISTS (SELECT FROM written) AS applied
