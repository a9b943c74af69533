DROP INDEX IF EXISTS meltica.events_outbox_dead;
DO $$
BEGIN
    IF to_regclass('meltica.events_outbox') IS NOT NULL THEN
        -- Without the word for it a dead event is one that waits.
        UPDATE meltica.events_outbox SET status = 'pending' WHERE status = 'dead';
        ALTER TABLE meltica.events_outbox DROP CONSTRAINT IF EXISTS events_outbox_status_check;
        ALTER TABLE meltica.events_outbox
            ADD CONSTRAINT events_outbox_status_check CHECK (status IN ('pending', 'processing', 'delivered'));
    END IF;
END $$;
