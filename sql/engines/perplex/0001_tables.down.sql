SELECT ledger.unite_pnl_daily(leaving => 'perplex');
DROP TABLE IF EXISTS perplex.pnl_daily, perplex.funding_payments, perplex.funding_history, perplex.public_trades,
                     perplex.vault_balances, perplex.fills, perplex.positions, perplex.open_orders;
DROP SCHEMA IF EXISTS perplex;
