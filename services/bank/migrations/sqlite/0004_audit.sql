-- The audit: entries, and the hashes of their Merkle tree in the order of Go's `golang.org/x/mod/sumdb/tlog`. The head says how many
-- entries there are.

ALTER TABLE head ADD COLUMN audit_count INTEGER NOT NULL DEFAULT 0;

-- The encoded vigie.consortium.v1.AuditEntry messages, the leaves of the tree; member 0 is for none.
CREATE TABLE audit_entries (
    entry_index INTEGER PRIMARY KEY,
    member_id INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;

CREATE INDEX audit_entries_by_member ON audit_entries (member_id, entry_index);

CREATE TABLE audit_hashes (
    position INTEGER PRIMARY KEY,
    hash BLOB NOT NULL
) STRICT;
