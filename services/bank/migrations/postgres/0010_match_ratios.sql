-- The share of lookups over the HMA-compatible API in which a bank takes part, 0.0 to 1.0. Banks of before take part in all.
-- Without a default: a bank of an older build that still runs on the database writes nothing afterwards.

ALTER TABLE banks ADD COLUMN match_ratio DOUBLE PRECISION NOT NULL DEFAULT 1.0;
ALTER TABLE banks ALTER COLUMN match_ratio DROP DEFAULT;
