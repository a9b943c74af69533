-- The service's two roles. Skipped when making roles is not permitted; a later run with the right applies it.
--
-- pgtape_replicator replicates and reads, pgtape_rollup writes roll-ups and their positions. A log-in that is to do both
-- is pgtape_replicator after `GRANT pgtape_rollup TO pgtape_replicator` (REPLICATION itself is not passed on by
-- membership). Neither has a password until you give it one.

SELECT pgtape.ensure_role('pgtape_replicator', 'LOGIN REPLICATION');
SELECT pgtape.ensure_role('pgtape_rollup', 'LOGIN');

GRANT USAGE ON SCHEMA pgtape TO pgtape_replicator, pgtape_rollup;
GRANT SELECT ON ALL TABLES IN SCHEMA pgtape TO pgtape_replicator, pgtape_rollup;
GRANT INSERT ON pgtape.operator_log TO pgtape_replicator, pgtape_rollup;
GRANT INSERT, UPDATE ON pgtape.heartbeat TO pgtape_replicator;
GRANT INSERT, UPDATE, DELETE ON pgtape.sink_position TO pgtape_rollup;
