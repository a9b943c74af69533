-- openmatch: an epoch begins, is matched, or is settled. (Sealing is buffer_sealed.)
--
--  $1 epoch_id bigint    $2 phase (COLLECTING|MATCHING|SETTLED)    $3 at timestamptz
--  $4 result_hash bytea (or null)    $5 trade_count integer (or null)
--
-- Answers: applied; known: the epoch is in this phase or past it.
-- Idempotency: natural; phases go COLLECTING, SEALED, MATCHING, SETTLED and never back.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH advanced AS (
    INSERT INTO openmatch.epochs AS e (epoch_id, phase, result_hash, trade_count, started_at, completed_at)
    SELECT $1::bigint, $2::varchar, $4::bytea, coalesce($5::integer, 0), $3::timestamptz,
        CASE WHEN $2::varchar = 'SETTLED' THEN $3::timestamptz END
    ON CONFLICT (epoch_id) DO UPDATE SET
        phase = EXCLUDED.phase,
        result_hash = coalesce(EXCLUDED.result_hash, e.result_hash),
        trade_count = coalesce($5::integer, e.trade_count),
        completed_at = coalesce(EXCLUDED.completed_at, e.completed_at)
    WHERE array_position(ARRAY['COLLECTING', 'SEALED', 'MATCHING', 'SETTLED'], e.phase::text)
        < array_position(ARRAY['COLLECTING', 'SEALED', 'MATCHING', 'SETTLED'], EXCLUDED.phase::text)
    RETURNING epoch_id
)
SELECT EXISTS (SELECT FROM advanced) AS applied,
    EXISTS (SELECT FROM advanced) OR EXISTS (
        SELECT FROM openmatch.epochs WHERE epoch_id = $1::bigint
            AND array_position(ARRAY['COLLECTING', 'SEALED', 'MATCHING', 'SETTLED'], phase::text)
                >= array_position(ARRAY['COLLECTING', 'SEALED', 'MATCHING', 'SETTLED'], ($2::varchar)::text)) AS known
