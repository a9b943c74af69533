SELECT ledger.unite_pnl_daily(leaving => 'worker');
DROP FUNCTION IF EXISTS worker.add_partitions(integer);
DROP FUNCTION IF EXISTS worker.order_of_key(text);
DROP TABLE IF EXISTS worker.pnl_daily, worker.funding_payments, worker.funding_snapshots, worker.audit_log,
                     worker.state_snapshots, worker.fills, worker.orders;
DROP SCHEMA IF EXISTS worker;
