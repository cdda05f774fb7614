-- The log, and the state that it comes to. Numbers of rows and times are 64-bit; times are milliseconds since 1970.

-- One row: how far the log has come. A writer moves it by compare-and-swap, so that two of them cannot both number
-- the same changes.
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Which log this is. Followers keep it with their cursors, and so never go on with another log.
    log_id BLOB NOT NULL CHECK (length(log_id) = 16),
    sequence INTEGER NOT NULL,
    chain BLOB NOT NULL CHECK (length(chain) = 32),
    -- Never goes back, so that a bank's id is never used twice.
    next_bank_id INTEGER NOT NULL,
    bank_count INTEGER NOT NULL,
    item_count INTEGER NOT NULL,
    hash_count INTEGER NOT NULL,
    -- Changes up to this one are no longer kept. A batch ended with it, unless it is 0.
    floor INTEGER NOT NULL
) STRICT;

INSERT INTO head (id, log_id, sequence, chain, next_bank_id, bank_count, item_count, hash_count, floor)
VALUES (1, randomblob(16), 0, zeroblob(32), 1, 0, 0, 0, 0);

-- One row for each transaction of the log: the chain as of its last change. Those before the floor are forgotten.
CREATE TABLE batches (
    last_sequence INTEGER PRIMARY KEY,
    chain BLOB NOT NULL CHECK (length(chain) = 32),
    committed_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX batches_by_time ON batches (committed_at_ms);

-- The log. `partition` is NULL for a change of a bank, which every shard applies. `checksum` covers the sequence and
-- the payload, so that a damaged row is told apart from its neighbours of the same batch.
CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY,
    partition INTEGER,
    checksum INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;

-- The living banks.
CREATE TABLE banks (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    item_count INTEGER NOT NULL,
    hash_count INTEGER NOT NULL
) STRICT;

-- The items. One whose bank is not in `banks` is gone already and waits to be swept.
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    bank_id INTEGER NOT NULL,
    hash_count INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;

CREATE INDEX items_by_bank ON items (bank_id, id);

-- What the hashes of a living bank come to, by partition: see SetDigest. Sums are 64-bit and never overflow.
CREATE TABLE digests (
    bank_id INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    hash_count INTEGER NOT NULL,
    sum_0 INTEGER NOT NULL,
    sum_1 INTEGER NOT NULL,
    sum_2 INTEGER NOT NULL,
    sum_3 INTEGER NOT NULL,
    PRIMARY KEY (bank_id, partition)
) STRICT, WITHOUT ROWID;

-- Deleted banks whose items are not yet swept.
CREATE TABLE sweeps (
    bank_id INTEGER PRIMARY KEY
) STRICT;

-- The answers to writes that carried a key.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    response BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX idempotency_by_age ON idempotency (created_at_ms);
