-- Removed items that can be brought back, until their bytes leave the log. The record is what item_records had of them; member 1 is the host.

CREATE TABLE undos (
    item_id INTEGER PRIMARY KEY,
    bank_id INTEGER NOT NULL,
    member_id INTEGER NOT NULL,
    removed_at_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    record BLOB
) STRICT;

CREATE INDEX undos_by_bank ON undos (bank_id, item_id);
