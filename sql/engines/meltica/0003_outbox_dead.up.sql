-- An event that could not be delivered after all its attempts is dead: it stands in the dead-letter topic, and waits here for
-- an operator (pgtape outbox list, retry).
ALTER TABLE meltica.events_outbox DROP CONSTRAINT IF EXISTS events_outbox_status_check;
ALTER TABLE meltica.events_outbox
    ADD CONSTRAINT events_outbox_status_check CHECK (status IN ('pending', 'processing', 'delivered', 'dead'));
-- What operators look for; nearly empty.
CREATE INDEX IF NOT EXISTS events_outbox_dead ON meltica.events_outbox (id) WHERE status = 'dead';
