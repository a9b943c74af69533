-- meltica: the newest balance of each asset of a provider.   $1 provider_id bigint
SELECT DISTINCT ON (asset) asset, total::text AS total, available::text AS available, snapshot_at
FROM meltica.balances WHERE provider_id = $1::bigint ORDER BY asset, snapshot_at DESC
