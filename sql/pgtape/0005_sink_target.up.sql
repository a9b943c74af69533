-- Which content of its target a position speaks of: the table's OID and its file's number. A target that was dropped and made
-- again, or truncated, has others; the position then counts for nothing, and the content is made anew from the rows.
ALTER TABLE pgtape.sink_position ADD COLUMN IF NOT EXISTS target text;
