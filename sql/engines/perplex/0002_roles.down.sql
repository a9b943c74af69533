-- The role stays, it may serve other databases of the cluster; its rights go with the schema. What it has elsewhere:
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgtape_engine_perplex') AND to_regclass('ledger.applied') IS NOT NULL THEN
        REVOKE ALL ON ledger.applied FROM pgtape_engine_perplex;
        REVOKE ALL ON SCHEMA ledger FROM pgtape_engine_perplex;
    END IF;
END $$;
