-- openmatch: a balance changes by an amount: a deposit, a withdrawal, a correction.
--
--  $1 event_id uuid    $2 user_id uuid    $3 asset    $4 available numeric    $5 frozen numeric (both are added)
--  $6 at timestamptz
--
-- Answers: applied; false when an earlier attempt had changed it.
-- Idempotency: by event_id in ledger.applied; a balance has no key that tells two equal changes apart.
-- Lost answer: run it again with the same event_id.
WITH once AS (
    INSERT INTO ledger.applied (event_id) VALUES ($1::uuid) ON CONFLICT DO NOTHING RETURNING event_id
), moved AS (
    INSERT INTO openmatch.balances AS b (user_id, asset, available, frozen, updated_at)
    SELECT $2::uuid, $3::varchar, $4::numeric, $5::numeric, $6::timestamptz FROM once
    ON CONFLICT (user_id, asset) DO UPDATE SET
        available = b.available + EXCLUDED.available, frozen = b.frozen + EXCLUDED.frozen, updated_at = EXCLUDED.updated_at
)
SELECT EXISTS (SELECT FROM once) AS applied
