SELECT ledger.unite_pnl_daily(leaving => 'aether');
DROP FUNCTION IF EXISTS aether.bundle_id(uuid, bigint);
DROP FUNCTION IF EXISTS aether.arb_id(text);
DROP TABLE IF EXISTS aether.pnl_daily, aether.pool_registry, aether.inclusion_results, aether.bundles, aether.arbs;
DROP SCHEMA IF EXISTS aether;

-- The roll-up's position goes with its target: the next target begins empty.
DO $$
BEGIN
    IF to_regclass('pgtape.sink_position') IS NOT NULL THEN
        DELETE FROM pgtape.sink_position WHERE sink = 'aether.pnl_daily';
    END IF;
END $$;
