-- Members. A bank has an owner, and its name is unique among the banks of that; the banks that are there are the host's, member 1.
-- Without a default: a bank of an older build that still runs on the database writes nothing afterwards.

ALTER TABLE banks ADD COLUMN owner_id BIGINT NOT NULL DEFAULT 1;
ALTER TABLE banks ALTER COLUMN owner_id DROP DEFAULT;
ALTER TABLE banks DROP CONSTRAINT banks_name_key;
CREATE UNIQUE INDEX banks_by_name ON banks (owner_id, name);

-- The directory: members (kind 1), principals (2), grants (3, by bank and member), quotas (4, by member), charters that are not the
-- default (5, by bank) and the used ids (6). Each payload is an encoded vigie.consortium.v1.DirectoryRow.
CREATE TABLE directory (
    kind BIGINT NOT NULL,
    first_id BIGINT NOT NULL,
    second_id BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (kind, first_id, second_id)
);
