-- The role stays, it may serve other databases of the cluster.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgtape_outbox') AND to_regclass('meltica.events_outbox') IS NOT NULL THEN
        REVOKE ALL ON meltica.events_outbox FROM pgtape_outbox;
        REVOKE UPDATE (delivered, status, published_at, attempts, last_error, claimed_at)
            ON meltica.events_outbox FROM pgtape_outbox;
        REVOKE ALL ON SCHEMA meltica FROM pgtape_outbox;
    END IF;
END $$;
