-- Exchanges. Each payload is an encoded vigie.bank.v1.Exchange; no credential is in it.

CREATE TABLE exchanges (
    id INTEGER PRIMARY KEY,
    payload BLOB NOT NULL
) STRICT;

-- The records of programmes: which item each was when it was written last, by the BLAKE3-256 of the programme's key. They are found too by
-- the first bits of the digest of their content. Each payload is an encoded vigie.bank.v1.ExchangeRecord.
CREATE TABLE exchange_records (
    exchange_id INTEGER NOT NULL,
    key_digest BLOB NOT NULL CHECK (length(key_digest) = 32),
    content_key INTEGER NOT NULL,
    item_id INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (exchange_id, key_digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX exchange_records_by_content ON exchange_records (content_key);

-- Removed exchanges whose records are not yet swept.
CREATE TABLE exchange_sweeps (
    exchange_id INTEGER PRIMARY KEY
) STRICT;
