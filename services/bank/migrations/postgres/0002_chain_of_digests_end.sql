
DROP TABLE batches_of_bytes;
DROP TABLE changes_of_bytes;
CREATE INDEX batches_by_time ON batches (committed_at_ms, last_sequence);
