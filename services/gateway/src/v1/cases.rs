//! `/v1/reports`, `/v1/referrals`, `/v1/incidents`, `/v1/decisions`: reports of members and their reviews,
//! requests of authorised bodies, events with a bank of their own, and records of decisions. The fields and
//! words are those of the command line.

pub(crate) mod read;
pub(crate) mod reports;
pub(crate) mod referrals;
pub(crate) mod incidents;
pub(crate) mod decisions;
