-- Removed items that can be brought back, until their bytes leave the log. The record is what item_records had of them; member 1 is the host.

CREATE TABLE undos (
    item_id BIGINT PRIMARY KEY,
    bank_id BIGINT NOT NULL,
    member_id BIGINT NOT NULL,
    removed_at_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    record BYTEA
);

CREATE INDEX undos_by_bank ON undos (bank_id, item_id);
