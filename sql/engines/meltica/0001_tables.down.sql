SELECT ledger.unite_pnl_daily(leaving => 'meltica');
DROP TABLE IF EXISTS meltica.pnl_daily, meltica.events_outbox, meltica.balances, meltica.executions, meltica.orders,
                     meltica.provider_routes, meltica.strategy_instances, meltica.providers;
DROP SCHEMA IF EXISTS meltica;
