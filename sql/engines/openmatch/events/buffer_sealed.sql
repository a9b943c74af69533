-- openmatch: an epoch's buffer is closed; its orders get their batch and their place in it.
--
--  $1 epoch_id bigint    $2 batch_hash bytea    $3 sealed_at timestamptz    $4 orders uuid[], in sequence
--
-- Answers: applied; known: the epoch is sealed with this hash, by this or an earlier attempt. Neither: it was never begun,
--   or it is sealed with another batch.
-- Idempotency: by the epoch's phase, which goes from COLLECTING to SEALED once.
-- Lost answer: run it again. If then "known" is false, run it once more: an attempt that waited for its predecessor
--   does not see what it waited for.
WITH sealed AS (
    UPDATE openmatch.epochs SET phase = 'SEALED', batch_hash = $2::bytea
    WHERE epoch_id = $1::bigint AND phase = 'COLLECTING'
    RETURNING epoch_id
), numbered AS (
    UPDATE openmatch.orders o SET batch_id = s.epoch_id, sequence = n.place, updated_at = $3::timestamptz
    FROM sealed s, unnest($4::uuid[]) WITH ORDINALITY AS n (id, place)
    WHERE o.id = n.id
)
SELECT EXISTS (SELECT FROM sealed) AS applied,
    EXISTS (SELECT FROM sealed)
        OR EXISTS (SELECT FROM openmatch.epochs WHERE epoch_id = $1::bigint AND batch_hash = $2::bytea) AS known
