-- The log, and the state that it comes to: the same tables as on SQLite, in PostgreSQL's words. Numbers of rows and
-- times are 64-bit; times are milliseconds since 1970.

-- One row: how far the log has come. A writer locks it first and moves it by compare-and-swap, so that two of them
-- cannot both number the same changes, and so that numbers are in the order of commits. It changes with every
-- transaction, and the rest of its page is room for its versions.
CREATE TABLE head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    -- Which log this is. Followers keep it with their cursors, and so never go on with another log.
    log_id BYTEA NOT NULL CHECK (length(log_id) = 16),
    sequence BIGINT NOT NULL,
    chain BYTEA NOT NULL CHECK (length(chain) = 32),
    -- Never goes back, so that a bank's id is never used twice.
    next_bank_id BIGINT NOT NULL,
    bank_count BIGINT NOT NULL,
    item_count BIGINT NOT NULL,
    hash_count BIGINT NOT NULL,
    -- Changes up to this one are no longer kept. A batch ended with it, unless it is 0.
    floor BIGINT NOT NULL
) WITH (fillfactor = 10);

INSERT INTO head (id, log_id, sequence, chain, next_bank_id, bank_count, item_count, hash_count, floor)
VALUES (1, uuid_send(gen_random_uuid()), 0, decode(repeat('00', 32), 'hex'), 1, 0, 0, 0, 0);

-- One row for each transaction of the log: the chain as of its last change. Those before the floor are forgotten.
CREATE TABLE batches (
    last_sequence BIGINT PRIMARY KEY,
    chain BYTEA NOT NULL CHECK (length(chain) = 32),
    committed_at_ms BIGINT NOT NULL
);

CREATE INDEX batches_by_time ON batches (committed_at_ms, last_sequence);

-- The log. `partition` is NULL for a change of a bank, which every shard applies. `checksum` covers the sequence and
-- the payload, so that a damaged row is told apart from its neighbours of the same batch.
CREATE TABLE changes (
    sequence BIGINT PRIMARY KEY,
    partition BIGINT,
    checksum BIGINT NOT NULL,
    payload BYTEA NOT NULL
);

-- Hashes do not compress.
ALTER TABLE changes ALTER COLUMN payload SET STORAGE EXTERNAL;

-- The living banks.
CREATE TABLE banks (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    enabled BOOLEAN NOT NULL,
    created_at_ms BIGINT NOT NULL,
    item_count BIGINT NOT NULL,
    hash_count BIGINT NOT NULL
);

-- The items. One whose bank is not in `banks` is gone already and waits to be swept.
CREATE TABLE items (
    id BIGINT PRIMARY KEY,
    partition BIGINT NOT NULL,
    bank_id BIGINT NOT NULL,
    hash_count BIGINT NOT NULL,
    payload BYTEA NOT NULL
);

ALTER TABLE items ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE INDEX items_by_bank ON items (bank_id, id);

-- What the hashes of a living bank come to, by partition: see SetDigest. Sums are 64-bit and never overflow. Each row
-- changes again and again, and half of a page is room for that.
CREATE TABLE digests (
    bank_id BIGINT NOT NULL,
    partition BIGINT NOT NULL,
    hash_count BIGINT NOT NULL,
    sum_0 BIGINT NOT NULL,
    sum_1 BIGINT NOT NULL,
    sum_2 BIGINT NOT NULL,
    sum_3 BIGINT NOT NULL,
    PRIMARY KEY (bank_id, partition)
) WITH (fillfactor = 50);

-- Deleted banks whose items are not yet swept.
CREATE TABLE sweeps (
    bank_id BIGINT PRIMARY KEY
);

-- The answers to writes that carried a key.
CREATE TABLE idempotency (
    key TEXT COLLATE "C" PRIMARY KEY,
    request_digest BYTEA NOT NULL CHECK (length(request_digest) = 32),
    response BYTEA NOT NULL,
    created_at_ms BIGINT NOT NULL
);

CREATE INDEX idempotency_by_age ON idempotency (created_at_ms);
