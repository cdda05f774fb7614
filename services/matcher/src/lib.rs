//! One replica of one shard: follows the log, answers searches.
