-- Holds of items, which their records have. The column tells when the first hold of an item ends, in milliseconds since 1970, or the largest
-- number where none ends by itself; NULL for an item that is not held.

ALTER TABLE item_records ADD COLUMN hold_ends_ms BIGINT;

CREATE INDEX item_records_held ON item_records (item_id) WHERE hold_ends_ms IS NOT NULL;
CREATE INDEX item_records_hold_ends ON item_records (hold_ends_ms) WHERE hold_ends_ms IS NOT NULL;
