//! The matchers: how they are named and found, what they report, and how each is called.
//!
//! `endpoint` (how matchers are named), `table` (which matcher serves which shards), `extra_calls` (the
//! budget of hedges and retries), `replica` (calls to one matcher), `view` (the topology that searches read),
//! `notices` (log lines about matchers), `directory` (finds the matchers and receives their descriptions),
//! `metrics`.

pub(crate) mod endpoint;
pub(crate) mod table;
pub(crate) mod extra_calls;
pub(crate) mod replica;
pub(crate) mod view;
pub(crate) mod notices;
pub(crate) mod directory;
pub(crate) mod metrics;
