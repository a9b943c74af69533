-- meltica: a provider that was not removed.   $1 alias
SELECT id, alias, display_name, adapter_identifier, connection, status, metadata, updated_at
FROM meltica.providers WHERE alias = $1::text AND deleted_at IS NULL
