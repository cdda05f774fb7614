-- Documents: rows beside items, by kind and key. Kinds are numbered by vigie_consortium::DocumentKind, and each payload is an encoded message of
-- its kind. `sequence` is the newest change of the log when the document was set.

CREATE TABLE documents (
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- Whether an item has a standing among the members, which its record has: 1, or NULL for none.
ALTER TABLE item_records ADD COLUMN has_standing INTEGER;

CREATE INDEX item_records_standing ON item_records (item_id) WHERE has_standing IS NOT NULL;
