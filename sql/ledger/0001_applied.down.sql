DROP FUNCTION IF EXISTS ledger.prune_applied(interval);
DROP TABLE IF EXISTS ledger.applied;
DROP SCHEMA IF EXISTS ledger;
