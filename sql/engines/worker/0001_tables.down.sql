SELECT ledger.unite_pnl_daily(leaving => 'worker');
DROP FUNCTION IF EXISTS worker.add_partitions(integer);
DROP FUNCTION IF EXISTS worker.order_of_key(text);
DROP TABLE IF EXISTS worker.pnl_daily, worker.funding_payments, worker.funding_snapshots, worker.audit_log,
                     worker.state_snapshots, worker.fills, worker.orders;
DROP SCHEMA IF EXISTS worker;

-- The roll-up's position goes with its target: the next target begins empty.
DO $$
BEGIN
    IF to_regclass('pgtape.sink_position') IS NOT NULL THEN
        DELETE FROM pgtape.sink_position WHERE sink = 'worker.pnl_daily';
    END IF;
END $$;
