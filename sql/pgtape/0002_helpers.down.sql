DROP FUNCTION IF EXISTS pgtape.ensure_role(name, text);
DROP FUNCTION IF EXISTS pgtape.publish(regclass[]);

-- The publication goes when nothing of other people is in it.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
        WHERE p.pubname = 'pgtape' AND r.prrelid IS DISTINCT FROM to_regclass('pgtape.heartbeat')
    ) AND NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'pgtape' AND puballtables) THEN
        DROP PUBLICATION IF EXISTS pgtape;
    END IF;
END $$;
