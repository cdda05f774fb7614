//! The matchers: how they are named and found, what they say, and the way to each of them.
//!
//! `endpoint` (how matchers are named), `table` (who serves which shard), `extra_calls` (what hedges and retries may cost),
//! `replica` (the way to one matcher), `view` (what searches see), `notices` (what is logged of the matchers), `directory`
//! (finds and hears them), `metrics`.

pub(crate) mod endpoint;
pub(crate) mod table;
pub(crate) mod extra_calls;
pub(crate) mod replica;
pub(crate) mod view;
pub(crate) mod notices;
pub(crate) mod directory;
pub(crate) mod metrics;
