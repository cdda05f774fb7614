-- The published lists of banks, for those who follow one bank and are told nothing of others. See vigie-consortium, items/published.

-- One row: from which keys of items are made.
CREATE TABLE list_secret (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

INSERT INTO list_secret (id, secret) VALUES (1, randomblob(32));

-- How far the list of a bank has come: a row for each bank that has entries, or items from before this step. Those are listed one after
-- another: items after `listed_through` and up to `unlisted_through` are in no list yet. Sums are those of a SetDigest.
CREATE TABLE lists (
    bank_id INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    chain BLOB NOT NULL CHECK (length(chain) = 32),
    item_count INTEGER NOT NULL,
    sum_0 INTEGER NOT NULL,
    sum_1 INTEGER NOT NULL,
    sum_2 INTEGER NOT NULL,
    sum_3 INTEGER NOT NULL,
    listed_through INTEGER NOT NULL,
    unlisted_through INTEGER NOT NULL
) STRICT;

INSERT INTO lists (bank_id, number, chain, item_count, sum_0, sum_1, sum_2, sum_3, listed_through, unlisted_through)
SELECT banks.id, 0, zeroblob(32), 0, 0, 0, 0, 0, 0, head.sequence FROM banks, head;

-- The entries. They hold no hashes, and stay when their items go. The chain is there for the last entry of a commit.
CREATE TABLE list_entries (
    bank_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    item_id INTEGER NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    chain BLOB CHECK (length(chain) = 32),
    PRIMARY KEY (bank_id, number)
) STRICT, WITHOUT ROWID;
