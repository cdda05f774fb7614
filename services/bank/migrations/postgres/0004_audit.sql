-- The audit: entries, and the hashes of their Merkle tree in the order of Go's `golang.org/x/mod/sumdb/tlog`. The head says how many
-- entries there are.

ALTER TABLE head ADD COLUMN audit_count BIGINT NOT NULL DEFAULT 0;

-- The encoded vigie.consortium.v1.AuditEntry messages, the leaves of the tree; member 0 is for none.
CREATE TABLE audit_entries (
    entry_index BIGINT PRIMARY KEY,
    member_id BIGINT NOT NULL,
    payload BYTEA NOT NULL
);

CREATE INDEX audit_entries_by_member ON audit_entries (member_id, entry_index);

CREATE TABLE audit_hashes (
    position BIGINT PRIMARY KEY,
    hash BYTEA NOT NULL
);
