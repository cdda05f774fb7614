-- The share of lookups over the HMA-compatible API in which a bank takes part, 0.0 to 1.0. Banks of before take part in all.

ALTER TABLE banks ADD COLUMN match_ratio REAL NOT NULL DEFAULT 1.0;
