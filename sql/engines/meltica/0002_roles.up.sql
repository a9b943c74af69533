-- Who may do what in schema meltica. Skipped when making roles is not permitted; a later run with the right applies it.
SELECT pgtape.ensure_role('pgtape_engine_meltica', 'LOGIN'),
       pgtape.ensure_role('pgtape_replicator', 'LOGIN REPLICATION'),
       pgtape.ensure_role('pgtape_rollup', 'LOGIN');

GRANT USAGE ON SCHEMA meltica, ledger TO pgtape_engine_meltica;
GRANT SELECT ON ALL TABLES IN SCHEMA meltica TO pgtape_engine_meltica;
GRANT SELECT, INSERT ON ledger.applied TO pgtape_engine_meltica;
GRANT INSERT, UPDATE, DELETE ON meltica.providers, meltica.strategy_instances, meltica.provider_routes, meltica.orders,
    meltica.executions, meltica.balances, meltica.events_outbox TO pgtape_engine_meltica;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA meltica TO pgtape_engine_meltica;

GRANT USAGE ON SCHEMA meltica, ledger TO pgtape_replicator, pgtape_rollup;
GRANT SELECT ON ALL TABLES IN SCHEMA meltica TO pgtape_replicator;
GRANT SELECT ON ledger.pnl_daily TO pgtape_replicator;

-- A roll-up is rebuilt from its sources by its writer.
GRANT SELECT ON meltica.executions, meltica.orders TO pgtape_rollup;
GRANT SELECT, INSERT, UPDATE, DELETE ON meltica.pnl_daily TO pgtape_rollup;
