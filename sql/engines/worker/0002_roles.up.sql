-- Who may do what in schema worker. Skipped when making roles is not permitted; a later run with the right applies it.
SELECT pgtape.ensure_role('pgtape_engine_worker', 'LOGIN'),
       pgtape.ensure_role('pgtape_replicator', 'LOGIN REPLICATION'),
       pgtape.ensure_role('pgtape_rollup', 'LOGIN');

GRANT USAGE ON SCHEMA worker, ledger TO pgtape_engine_worker;
GRANT SELECT ON ALL TABLES IN SCHEMA worker TO pgtape_engine_worker;
GRANT SELECT, INSERT ON ledger.applied TO pgtape_engine_worker;
GRANT INSERT, UPDATE ON worker.orders TO pgtape_engine_worker;
GRANT INSERT ON worker.fills, worker.state_snapshots, worker.audit_log, worker.funding_snapshots, worker.funding_payments
    TO pgtape_engine_worker;

GRANT USAGE ON SCHEMA worker, ledger TO pgtape_replicator, pgtape_rollup;
GRANT SELECT ON ALL TABLES IN SCHEMA worker TO pgtape_replicator;
GRANT SELECT ON ledger.pnl_daily TO pgtape_replicator;

-- A roll-up is rebuilt from its sources by its writer.
GRANT SELECT ON worker.fills, worker.orders, worker.funding_payments TO pgtape_rollup;
GRANT SELECT, INSERT, UPDATE, DELETE ON worker.pnl_daily TO pgtape_rollup;
