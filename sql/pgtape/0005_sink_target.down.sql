ALTER TABLE IF EXISTS pgtape.sink_position DROP COLUMN IF EXISTS target;
