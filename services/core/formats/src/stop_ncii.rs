//! StopNCII, version 1: JSON over HTTP.
//!
//! A page of `FetchHashes` has records (each is the whole state of one hash), the token of the next page, and
//! the time at which the next round begins. Reading order: [`page`], `mapping`, [`submission`].

pub mod page;
mod mapping;
pub mod submission;

pub use mapping::{hash_records, records};
pub use page::{CaseStatus, Feedback, FeedbackValue, HashRecord, Page, SignalType, parse, render};

#[cfg(test)]
mod tests;
