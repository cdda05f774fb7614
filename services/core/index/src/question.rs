//! The query side of an index: entries and hits, bank filters, cancellation, and the audit.

pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod cancel;
pub(crate) mod audit;
