-- "How did we do today", over every engine that is installed.
--
-- Columns: engine, day, account, market, asset, realized, fees, funding, volume, fill_count, net. A measure that cannot be
-- derived is NULL, never 0. Each engine's migration calls ledger.unite_pnl_daily() when its own pnl_daily comes or goes.
CREATE OR REPLACE FUNCTION ledger.unite_pnl_daily(leaving text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parts text[] := ARRAY[
        'SELECT NULL::text AS engine, NULL::date AS day, NULL::text AS account, NULL::text AS market, NULL::text AS asset, '
        'NULL::numeric AS realized, NULL::numeric AS fees, NULL::numeric AS funding, NULL::numeric AS volume, '
        'NULL::bigint AS fill_count, NULL::numeric AS net WHERE false'];
    engine text;
BEGIN
    FOREACH engine IN ARRAY ARRAY['perplex', 'openmatch', 'meltica', 'worker'] LOOP
        IF to_regclass(engine || '.pnl_daily') IS NOT NULL AND engine IS DISTINCT FROM leaving THEN
            parts := parts || format(
                'SELECT %L, day, account, market, asset, realized, fees, funding, volume, fill_count, net FROM %I.pnl_daily',
                engine, engine);
        END IF;
    END LOOP;
    IF to_regclass('aether.pnl_daily') IS NOT NULL AND leaving IS DISTINCT FROM 'aether' THEN
        parts := parts || 'SELECT ''aether'', day, '''', '''', ''wei'', realized_profit_wei::numeric, gas_spent_wei::numeric, '
            'NULL, NULL, inclusion_count, (realized_profit_wei - gas_spent_wei)::numeric FROM aether.pnl_daily'::text;
    END IF;
    EXECUTE 'CREATE OR REPLACE VIEW ledger.pnl_daily AS ' || array_to_string(parts, ' UNION ALL ');
END $$;

SELECT ledger.unite_pnl_daily();
