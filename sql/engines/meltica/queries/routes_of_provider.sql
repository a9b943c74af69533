-- meltica: a provider's routes with the versions their optimistic lock needs.   $1 provider_id bigint
SELECT symbol, route, version, metadata, updated_at
FROM meltica.provider_routes WHERE provider_id = $1::bigint ORDER BY symbol
