SELECT ledger.unite_pnl_daily(leaving => 'perplex');
DROP TABLE IF EXISTS perplex.pnl_daily, perplex.funding_payments, perplex.funding_history, perplex.public_trades,
                     perplex.vault_balances, perplex.fills, perplex.positions, perplex.open_orders;
DROP SCHEMA IF EXISTS perplex;

-- The roll-up's position goes with its target: the next target begins empty.
DO $$
BEGIN
    IF to_regclass('pgtape.sink_position') IS NOT NULL THEN
        DELETE FROM pgtape.sink_position WHERE sink = 'perplex.pnl_daily';
    END IF;
END $$;
