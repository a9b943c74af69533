-- Who may do what in schema openmatch. Skipped when making roles is not permitted; a later run with the right applies it.
SELECT pgtape.ensure_role('pgtape_engine_openmatch', 'LOGIN'),
       pgtape.ensure_role('pgtape_replicator', 'LOGIN REPLICATION'),
       pgtape.ensure_role('pgtape_rollup', 'LOGIN');

GRANT USAGE ON SCHEMA openmatch, ledger TO pgtape_engine_openmatch;
GRANT SELECT ON ALL TABLES IN SCHEMA openmatch TO pgtape_engine_openmatch;
GRANT SELECT, INSERT ON ledger.applied TO pgtape_engine_openmatch;
GRANT INSERT, UPDATE ON openmatch.orders, openmatch.balances, openmatch.epochs TO pgtape_engine_openmatch;
GRANT INSERT ON openmatch.trades TO pgtape_engine_openmatch;

GRANT USAGE ON SCHEMA openmatch, ledger TO pgtape_replicator, pgtape_rollup;
GRANT SELECT ON ALL TABLES IN SCHEMA openmatch TO pgtape_replicator;
GRANT SELECT ON ledger.pnl_daily TO pgtape_replicator;

-- A roll-up is rebuilt from its sources by its writer.
GRANT SELECT ON openmatch.trades TO pgtape_rollup;
GRANT SELECT, INSERT, UPDATE, DELETE ON openmatch.pnl_daily TO pgtape_rollup;
