DROP VIEW IF EXISTS ledger.pnl_daily;
DROP FUNCTION IF EXISTS ledger.unite_pnl_daily(text);
