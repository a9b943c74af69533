-- perplex: money enters a vault, or leaves it.
--
--  $1 event_id uuid    of the caller's own: the id of the chain's event, or version 5 of it
--  $2 address
--  $3 amount_usdc      negative: a withdrawal, which the caller has checked
--
-- Answers: applied; false when an earlier attempt had moved it.
-- Idempotency: by event_id in ledger.applied; a balance has no key that tells two equal deposits apart.
-- Lost answer: run it again with the same event_id.
WITH once AS (
    INSERT INTO ledger.applied (event_id) VALUES ($1::uuid) ON CONFLICT DO NOTHING RETURNING event_id
), moved AS (
    INSERT INTO perplex.vault_balances AS v (address, amount)
    SELECT $2::text, $3::text FROM once
    ON CONFLICT (address) DO UPDATE SET amount = (v.amount::numeric + EXCLUDED.amount::numeric)::text
)
SELECT EXISTS (SELECT FROM once) AS applied
