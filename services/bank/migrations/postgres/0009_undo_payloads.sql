-- Removed items keep their bytes, encoded as in items, until they are purged: the log may forget the change that added an item earlier.
-- Items that were removed before this step have none here and are read from the log.

ALTER TABLE undos ADD COLUMN payload BYTEA;
-- As for items: no samples of the column are copied into pg_statistic.
ALTER TABLE undos ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE undos ALTER COLUMN payload SET STATISTICS 0;
