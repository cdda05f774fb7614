-- The published lists of banks, for those who follow one bank and are told nothing of others. See vigie-consortium, items/published.

-- One row: from which keys of items are made.
CREATE TABLE list_secret (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    secret BYTEA NOT NULL CHECK (length(secret) = 32)
);

-- Two of 122 random bits each.
INSERT INTO list_secret (id, secret) VALUES (1, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- How far the list of a bank has come: a row for each bank that has entries, or items from before this step. Those are listed one after
-- another: items after `listed_through` and up to `unlisted_through` are in no list yet. Sums are those of a SetDigest.
CREATE TABLE lists (
    bank_id BIGINT PRIMARY KEY,
    number BIGINT NOT NULL,
    chain BYTEA NOT NULL CHECK (length(chain) = 32),
    item_count BIGINT NOT NULL,
    sum_0 BIGINT NOT NULL,
    sum_1 BIGINT NOT NULL,
    sum_2 BIGINT NOT NULL,
    sum_3 BIGINT NOT NULL,
    listed_through BIGINT NOT NULL,
    unlisted_through BIGINT NOT NULL
) WITH (fillfactor = 10);

INSERT INTO lists (bank_id, number, chain, item_count, sum_0, sum_1, sum_2, sum_3, listed_through, unlisted_through)
SELECT banks.id, 0, decode(repeat('00', 32), 'hex'), 0, 0, 0, 0, 0, 0, head.sequence FROM banks, head;

-- The entries. They hold no hashes, and stay when their items go. The chain is there for the last entry of a commit.
CREATE TABLE list_entries (
    bank_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    item_id BIGINT NOT NULL,
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    chain BYTEA CHECK (length(chain) = 32),
    PRIMARY KEY (bank_id, number)
);
