//! Writers and readers that record the answers they got in a ledger, and check the cluster against it.
//!
//! Writers send every write with an idempotency key until it is acknowledged, whatever fails meanwhile.
//! Readers continually search for entries of the ledger: an answer with full coverage has to agree with it;
//! an error is not an answer. While the writers pause, everything can be compared: every item that was added
//! and not removed matches, every removed one does not, and each matcher's digest equals that of the ledger.

mod ledger;
mod writers;
mod lookups;

pub use self::lookups::{LookupTally, Lookups};
pub use self::writers::{Tally, Workload, may_be_an_outage};
