DROP TABLE IF EXISTS pgtape.operator_log;
DROP TABLE IF EXISTS pgtape.heartbeat;
DROP TABLE IF EXISTS pgtape.sink_position;
-- The schema goes with the migrator's own table, when nothing is left in it.
