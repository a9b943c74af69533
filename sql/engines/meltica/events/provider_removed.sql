-- meltica: an operator removes a provider; its row and its history stay.
--
--  $1 alias    $2 at timestamptz: when it was decided
--
-- Answers: applied; false when it was removed already, was saved later than this was decided, or never existed.
-- Idempotency: natural.
-- Lost answer: run it again.
WITH removed AS (
    UPDATE meltica.providers SET status = 'inactive', deleted_at = $2::timestamptz, updated_at = $2::timestamptz
    WHERE alias = $1::text AND deleted_at IS NULL AND updated_at <= $2::timestamptz
    RETURNING id
)
SELECT EXISTS (SELECT FROM removed) AS applied
