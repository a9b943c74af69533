-- Roles may serve other databases of the cluster: they stay, without any right in this one.
-- When no database needs them: DROP ROLE pgtape_replicator, pgtape_rollup.
DO $$
DECLARE
    role name;
BEGIN
    FOR role IN SELECT rolname FROM pg_roles WHERE rolname IN ('pgtape_replicator', 'pgtape_rollup') LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA pgtape FROM %I', role);
        EXECUTE format('REVOKE ALL ON SCHEMA pgtape FROM %I', role);
    END LOOP;
END $$;
