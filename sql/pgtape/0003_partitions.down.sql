DROP PROCEDURE IF EXISTS pgtape.drop_partition(regclass);
DROP FUNCTION IF EXISTS pgtape.add_partitions(regclass, date, integer);
DROP FUNCTION IF EXISTS pgtape.add_partition(regclass, date);
