-- The latest changes of items, for those who follow one bank: one row for each item that was removed, or whose record changed after it was
-- added. An item without a row was last changed when it was added: its id is the sequence of that. Kind 1 is a change of the record, kind 2
-- a removal; only for that is it recorded when the item was added. Rows of removed items stay: they hold no hashes.

CREATE TABLE touched (
    item_id BIGINT PRIMARY KEY,
    bank_id BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    added_at_ms BIGINT,
    kind BIGINT NOT NULL
);

CREATE INDEX touched_by_bank ON touched (bank_id, sequence);
