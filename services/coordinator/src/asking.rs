//! A search of the whole cluster: `ask` (one shard), `fan_out` (all shards), `merge` (all shards' answers
//! into one), `metrics`.

pub(crate) mod ask;
pub(crate) mod fan_out;
pub(crate) mod merge;
pub(crate) mod metrics;
