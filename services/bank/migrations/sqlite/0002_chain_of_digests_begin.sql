-- The chain of the log covers the digest of each change instead of its bytes, so that the bytes of one change can be
-- removed while the proof of the others holds. The log's two tables are made anew; the bank copies their rows, with digests
-- and the new chain, between this part and the next (`store/sql/rechain.rs`), all in one transaction. In a new store there
-- is nothing to copy.

DROP INDEX batches_by_time;
ALTER TABLE batches RENAME TO batches_of_bytes;
ALTER TABLE changes RENAME TO changes_of_bytes;

-- One row for each transaction of the log: the chain as of its last change. Those before the floor are forgotten.
CREATE TABLE batches (
    last_sequence INTEGER PRIMARY KEY,
    chain BLOB NOT NULL CHECK (length(chain) = 32),
    committed_at_ms INTEGER NOT NULL,
    -- The chain over bytes, under which followers know a batch from before this migration.
    former_chain BLOB CHECK (length(former_chain) = 32)
) STRICT;

-- The log. `partition` is NULL for a change of a bank, which every shard applies. `digest` is the BLAKE3-256 of the payload.
-- `payload` is NULL where it was purged.
CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY,
    partition INTEGER,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    payload BLOB
) STRICT;
