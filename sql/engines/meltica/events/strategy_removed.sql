-- meltica: an operator removes a version of a strategy; its row and its history stay.
--
--  $1 strategy_identifier    $2 version    $3 at timestamptz: when it was decided
--
-- Answers: applied; false when it was removed already, was saved later than this was decided, or never existed.
-- Idempotency: natural.
-- Lost answer: run it again.
WITH removed AS (
    UPDATE meltica.strategy_instances
    SET status = 'stopped', deleted_at = $3::timestamptz, updated_at = $3::timestamptz
    WHERE strategy_identifier = $1::text AND version = $2::text AND deleted_at IS NULL AND updated_at <= $3::timestamptz
    RETURNING id
)
SELECT EXISTS (SELECT FROM removed) AS applied
