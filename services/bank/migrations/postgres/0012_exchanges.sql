-- Exchanges. Each payload is an encoded vigie.bank.v1.Exchange; no credential is in it.

CREATE TABLE exchanges (
    id BIGINT PRIMARY KEY,
    payload BYTEA NOT NULL
);

-- The records of programmes: which item each was when it was written last, by the BLAKE3-256 of the programme's key. They are found too by
-- the first bits of the digest of their content. Each payload is an encoded vigie.bank.v1.ExchangeRecord.
CREATE TABLE exchange_records (
    exchange_id BIGINT NOT NULL,
    key_digest BYTEA NOT NULL CHECK (length(key_digest) = 32),
    content_key BIGINT NOT NULL,
    item_id BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (exchange_id, key_digest)
);

CREATE INDEX exchange_records_by_content ON exchange_records (content_key);

-- Removed exchanges whose records are not yet swept.
CREATE TABLE exchange_sweeps (
    exchange_id BIGINT PRIMARY KEY
);

-- As for items: no samples of the columns are copied into pg_statistic.
ALTER TABLE exchange_records ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE exchange_records ALTER COLUMN payload SET STATISTICS 0;
