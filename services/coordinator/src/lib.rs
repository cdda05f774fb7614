//! Fans each query out to every shard, merges, and accounts for what did not answer.
