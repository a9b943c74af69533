-- perplex: a resting order leaves the book unfilled.
--
--  $1 id
--
-- Answers: applied; false when it does not rest any more: an earlier attempt cancelled it, or it was filled first.
-- Idempotency: natural. Order ids are never used again.
-- Lost answer: run it again.
WITH gone AS (
    DELETE FROM perplex.open_orders WHERE id = $1::text RETURNING id
)
SELECT EXISTS (SELECT FROM gone) AS applied
