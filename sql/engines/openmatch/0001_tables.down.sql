SELECT ledger.unite_pnl_daily(leaving => 'openmatch');
DROP TABLE IF EXISTS openmatch.pnl_daily, openmatch.epochs, openmatch.balances, openmatch.trades, openmatch.orders;
DROP SCHEMA IF EXISTS openmatch;

-- The roll-up's position goes with its target: the next target begins empty.
DO $$
BEGIN
    IF to_regclass('pgtape.sink_position') IS NOT NULL THEN
        DELETE FROM pgtape.sink_position WHERE sink = 'openmatch.pnl_daily';
    END IF;
END $$;
