-- Who may do what in schema aether. Skipped when making roles is not permitted; a later run with the right applies it.
SELECT pgtape.ensure_role('pgtape_engine_aether', 'LOGIN'),
       pgtape.ensure_role('pgtape_replicator', 'LOGIN REPLICATION'),
       pgtape.ensure_role('pgtape_rollup', 'LOGIN');

GRANT USAGE ON SCHEMA aether, ledger TO pgtape_engine_aether;
GRANT SELECT ON ALL TABLES IN SCHEMA aether TO pgtape_engine_aether;
GRANT SELECT, INSERT ON ledger.applied TO pgtape_engine_aether;
GRANT INSERT ON aether.arbs, aether.bundles TO pgtape_engine_aether;
GRANT INSERT, UPDATE ON aether.inclusion_results, aether.pool_registry TO pgtape_engine_aether;

GRANT USAGE ON SCHEMA aether, ledger TO pgtape_replicator, pgtape_rollup;
GRANT SELECT ON ALL TABLES IN SCHEMA aether TO pgtape_replicator;
GRANT SELECT ON ledger.pnl_daily TO pgtape_replicator;

-- A roll-up is rebuilt from its sources by its writer.
GRANT SELECT ON aether.arbs, aether.bundles, aether.inclusion_results TO pgtape_rollup;
GRANT SELECT, INSERT, UPDATE, DELETE ON aether.pnl_daily TO pgtape_rollup;
