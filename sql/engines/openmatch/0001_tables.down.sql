SELECT ledger.unite_pnl_daily(leaving => 'openmatch');
DROP TABLE IF EXISTS openmatch.pnl_daily, openmatch.epochs, openmatch.balances, openmatch.trades, openmatch.orders;
DROP SCHEMA IF EXISTS openmatch;
