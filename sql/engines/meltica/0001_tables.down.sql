SELECT ledger.unite_pnl_daily(leaving => 'meltica');
DROP TABLE IF EXISTS meltica.pnl_daily, meltica.events_outbox, meltica.balances, meltica.executions, meltica.orders,
                     meltica.provider_routes, meltica.strategy_instances, meltica.providers;
DROP SCHEMA IF EXISTS meltica;

-- The roll-up's position goes with its target: the next target begins empty.
DO $$
BEGIN
    IF to_regclass('pgtape.sink_position') IS NOT NULL THEN
        DELETE FROM pgtape.sink_position WHERE sink = 'meltica.pnl_daily';
    END IF;
END $$;
