-- Who may do what in schema perplex. Skipped when making roles is not permitted; a later run with the right applies it.
SELECT pgtape.ensure_role('pgtape_engine_perplex', 'LOGIN'),
       pgtape.ensure_role('pgtape_replicator', 'LOGIN REPLICATION'),
       pgtape.ensure_role('pgtape_rollup', 'LOGIN');

GRANT USAGE ON SCHEMA perplex, ledger TO pgtape_engine_perplex;
GRANT SELECT ON ALL TABLES IN SCHEMA perplex TO pgtape_engine_perplex;
GRANT SELECT, INSERT ON ledger.applied TO pgtape_engine_perplex;
GRANT INSERT, UPDATE, DELETE ON perplex.open_orders, perplex.positions TO pgtape_engine_perplex;
GRANT INSERT, UPDATE ON perplex.vault_balances, perplex.funding_history TO pgtape_engine_perplex;
GRANT INSERT ON perplex.fills, perplex.public_trades, perplex.funding_payments TO pgtape_engine_perplex;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA perplex TO pgtape_engine_perplex;

GRANT USAGE ON SCHEMA perplex, ledger TO pgtape_replicator, pgtape_rollup;
GRANT SELECT ON ALL TABLES IN SCHEMA perplex TO pgtape_replicator;
GRANT SELECT ON ledger.pnl_daily TO pgtape_replicator;

-- A roll-up is rebuilt from its sources by its writer.
GRANT SELECT ON perplex.fills, perplex.funding_payments TO pgtape_rollup;
GRANT SELECT, INSERT, UPDATE, DELETE ON perplex.pnl_daily TO pgtape_rollup;
