//! A search of the whole cluster: `ask` (one group of shards), `fan_out` (all groups), `merge` (all groups'
//! answers into one), `metrics`.

pub(crate) mod ask;
pub(crate) mod fan_out;
pub(crate) mod merge;
pub(crate) mod metrics;
