-- meltica: a provider's balance of an asset, as it was at a moment; its outbox event is in the same transaction.
--
--  $1 provider_id bigint    $2 asset    $3 total numeric    $4 available numeric    $5 snapshot_at timestamptz
--  $6 metadata jsonb        $7 payload jsonb of the outbox event
--
-- Answers: applied; false when an earlier attempt had recorded it.
-- Idempotency: by (provider_id, asset, snapshot_at).
-- Lost answer: run it again.
WITH once AS (
    INSERT INTO meltica.balances (provider_id, asset, total, available, snapshot_at, metadata, created_at, updated_at)
    VALUES ($1::bigint, $2::text, $3::numeric, $4::numeric, $5::timestamptz, $6::jsonb, $5::timestamptz, $5::timestamptz)
    ON CONFLICT (provider_id, asset, snapshot_at) DO NOTHING RETURNING provider_id, asset
), told AS (
    INSERT INTO meltica.events_outbox (aggregate_type, aggregate_id, event_type, payload, available_at, created_at)
    SELECT 'balance', once.provider_id::text || '/' || once.asset, 'balance.recorded', $7::jsonb,
        $5::timestamptz, $5::timestamptz
    FROM once
)
SELECT EXISTS (SELECT FROM once) AS applied
