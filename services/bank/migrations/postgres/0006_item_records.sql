-- Records of items: what is said of them, and the submissions by which they live. An item that was added with neither an origin nor
-- details has none. Each payload is an encoded vigie.bank.v1.ItemRecord; its content is found by the first bits of its digest.

CREATE TABLE item_records (
    item_id BIGINT PRIMARY KEY,
    content_key BIGINT NOT NULL,
    payload BYTEA NOT NULL
);

CREATE INDEX item_records_by_content ON item_records (content_key);
