//! Searches the hashes of one shard, exactly.
