-- Purges: which removed items still have bytes in the log or in free space of the files. Items that were removed before this step
-- have no row here; their bytes go with the age limit of the log.

-- Removed items whose bytes are still in the log.
CREATE TABLE purges (
    item_id BIGINT PRIMARY KEY,
    -- When their bytes are to be removed from the log.
    purge_at_ms BIGINT NOT NULL,
    -- When the free space that they leave is to be cleared.
    erase_at_ms BIGINT NOT NULL
);

CREATE INDEX purges_by_time ON purges (purge_at_ms);

-- The same times for deleted banks whose items are not yet swept.
CREATE TABLE bank_purges (
    bank_id BIGINT PRIMARY KEY,
    purge_at_ms BIGINT NOT NULL,
    erase_at_ms BIGINT NOT NULL
);

-- When free space is to be cleared because of bytes that the log no longer has.
CREATE TABLE erasures (
    erase_at_ms BIGINT PRIMARY KEY
);

-- ANALYZE copies sampled values of a column into pg_statistic. No query needs statistics of these two columns. A change of the type,
-- to the same one, drops those that are there and rewrites nothing; it resets how values are stored, which is then set again.
ALTER TABLE items ALTER COLUMN payload TYPE BYTEA;
ALTER TABLE items ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE items ALTER COLUMN payload SET STATISTICS 0;
ALTER TABLE changes ALTER COLUMN payload TYPE BYTEA;
ALTER TABLE changes ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE changes ALTER COLUMN payload SET STATISTICS 0;
