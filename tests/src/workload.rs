//! Writers and readers that keep a ledger of what they were told, and hold the cluster to it.
//!
//! Writers send every write with an idempotency key until it is acknowledged, whatever dies meanwhile. Readers ask for
//! what is in the ledger, all the time: an answer that covers everything has to agree with it; an error is no answer.
//! While the writers pause, everything can be compared: every item that was added and not removed matches, every
//! removed one does not, and each matcher's digest is that of the ledger.

mod ledger;
mod writers;
mod lookups;

pub use self::lookups::{LookupTally, Lookups};
pub use self::writers::{Tally, Workload, may_be_an_outage};
