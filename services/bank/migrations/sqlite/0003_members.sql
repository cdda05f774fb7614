-- Members. A bank has an owner, and its name is unique among the banks of that; the banks that are there are the host's, member 1.

ALTER TABLE banks RENAME TO banks_without_owners;

-- The living banks.
CREATE TABLE banks (
    id INTEGER PRIMARY KEY,
    owner_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    item_count INTEGER NOT NULL,
    hash_count INTEGER NOT NULL,
    UNIQUE (owner_id, name)
) STRICT;

INSERT INTO banks (id, owner_id, name, enabled, created_at_ms, item_count, hash_count)
SELECT id, 1, name, enabled, created_at_ms, item_count, hash_count FROM banks_without_owners;

DROP TABLE banks_without_owners;

-- The directory: members (kind 1), principals (2), grants (3, by bank and member), quotas (4, by member), charters that are not the
-- default (5, by bank) and the used ids (6). Each payload is an encoded vigie.consortium.v1.DirectoryRow.
CREATE TABLE directory (
    kind INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    second_id INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (kind, first_id, second_id)
) STRICT, WITHOUT ROWID;
