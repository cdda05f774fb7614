-- Documents: rows beside items, by kind and key. Kinds are numbered by vigie_consortium::DocumentKind, and each payload is an encoded message of
-- its kind. `sequence` is the newest change of the log when the document was set.

CREATE TABLE documents (
    kind SMALLINT NOT NULL,
    key BYTEA NOT NULL,
    sequence BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (kind, key)
);

-- As for items: no samples of the column are copied into pg_statistic.
ALTER TABLE documents ALTER COLUMN payload SET STATISTICS 0;

-- Whether an item has a standing among the members, which its record has: 1, or NULL for none.
ALTER TABLE item_records ADD COLUMN has_standing SMALLINT;

CREATE INDEX item_records_standing ON item_records (item_id) WHERE has_standing IS NOT NULL;
