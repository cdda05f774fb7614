-- Purges: which removed items still have bytes in the log or in free space of the files. Items that were removed before this step
-- have no row here; their bytes go with the age limit of the log.

-- Removed items whose bytes are still in the log.
CREATE TABLE purges (
    item_id INTEGER PRIMARY KEY,
    -- When their bytes are to be removed from the log.
    purge_at_ms INTEGER NOT NULL,
    -- When the free space that they leave is to be cleared.
    erase_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX purges_by_time ON purges (purge_at_ms);

-- The same times for deleted banks whose items are not yet swept.
CREATE TABLE bank_purges (
    bank_id INTEGER PRIMARY KEY,
    purge_at_ms INTEGER NOT NULL,
    erase_at_ms INTEGER NOT NULL
) STRICT;

-- When free space is to be cleared because of bytes that the log no longer has.
CREATE TABLE erasures (
    erase_at_ms INTEGER PRIMARY KEY
) STRICT;
