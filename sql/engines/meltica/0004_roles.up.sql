-- Who marks the outbox, and may do nothing else: pgtape's outbox sink (kafka.outbox.url). Skipped when making roles is not
-- permitted; a later run with the right applies it. docs/OUTBOX.md says what to grant on other tables.
SELECT pgtape.ensure_role('pgtape_outbox', 'LOGIN');

GRANT USAGE ON SCHEMA meltica TO pgtape_outbox;
-- To find the rows, and to read a payload that was too large to be kept.
GRANT SELECT ON meltica.events_outbox TO pgtape_outbox;
-- claimed_at: a retry empties it.
GRANT UPDATE (delivered, status, published_at, attempts, last_error, claimed_at) ON meltica.events_outbox TO pgtape_outbox;
